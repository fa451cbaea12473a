from sklearn.metrics import precision_recall_fscore_support, confusion_matrix
from polytask.metrics.table import Row, Table
def accuracy(gold, predicted):
    return sum(a==b for a,b in zip(gold,predicted))/len(gold) if gold else float("nan")
def class_table(gold, predicted, labels):
    p,r,f,s=precision_recall_fscore_support(gold,["" if x is None else x for x in predicted],labels=list(labels),zero_division=0.0)
    rows=tuple(Row(l,float(a),float(b),float(c),int(d)) for l,a,b,c,d in zip(labels,p,r,f,s))
    av=[]
    for k in ("macro","weighted"):
        a,b,c,_=precision_recall_fscore_support(gold,["" if x is None else x for x in predicted],labels=list(labels),zero_division=0.0,average=k)
        av.append(Row(k+" average",float(a),float(b),float(c),len(gold)))
    return Table(rows,tuple(av))
def confusion(gold,predicted,labels):
    return confusion_matrix(gold,["" if x is None else x for x in predicted],labels=list(labels)).tolist()
