from dataclasses import dataclass
from polytask.metrics.table import Row, Table
from seqeval.metrics.sequence_labeling import get_entities
@dataclass(frozen=True)
class Span:
    label: str; start: int; end: int
def spans_of(tags): return [Span(l,s,e+1) for l,s,e in get_entities([t or "O" for t in tags])]
def is_entity_scheme(labels):
    ls=list(labels); return any(l.startswith("B-") for l in ls) and all(l=="O" or l[:2] in ("B-","I-","E-","S-") for l in ls)
def bio_fault(tags):
    prev="O"
    for i,t in enumerate(tags,1):
        if t.startswith("I-") and prev[2:]!=t[2:]: return f"word {i}: '{t}' does not continue an entity of that type"
        prev=t
def repair_bio(tags):
    out=[];n=0;prev="O"
    for t in tags:
        if t.startswith("I-") and prev[2:]!=t[2:]: t="B-"+t[2:]; n+=1
        out.append(t); prev=t
    return out,n
def entity_table(gold,pred):
    g={(i,s) for i,t in enumerate(gold) for s in spans_of(t)}; p={(i,s) for i,t in enumerate(pred) for s in spans_of(t)}
    def row(name,g,p):
        tp=len(g&p); P=tp/len(p) if p else 0.0; R=tp/len(g) if g else 0.0
        return Row(name,P,R,2*P*R/(P+R) if P+R else 0.0,len(g))
    types=sorted({s.label for _,s in g|p})
    return Table(tuple(row(t,{x for x in g if x[1].label==t},{x for x in p if x[1].label==t}) for t in types),(row("micro average",g,p),))
