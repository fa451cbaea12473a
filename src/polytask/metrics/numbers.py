import numpy as np
from scipy import stats
def pearson(a,b):
    if len(a)<2 or np.std(a)==0 or np.std(b)==0: return float("nan")
    return float(stats.pearsonr(a,b)[0])
def spearman(a,b):
    if len(a)<2 or np.std(a)==0 or np.std(b)==0: return float("nan")
    return float(stats.spearmanr(a,b)[0])
def mae(a,b): return float(np.mean(np.abs(np.subtract(a,b)))) if len(a) else float("nan")
def rmse(a,b): return float(np.sqrt(np.mean(np.subtract(a,b)**2))) if len(a) else float("nan")
