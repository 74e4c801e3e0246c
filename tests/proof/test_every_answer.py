"""x"""
import re, sys, time, traceback, itertools, json
from collections import Counter, defaultdict
import pytest
from simulator.client import ControlClient
from tests.integration.estates import SERVICES
from tests.proof.answers import *
from tests.proof.machine import machine
from tests.proof.stories import *
from tests.proof.trial import Trial, Sent
from tests.surface.leaks import leaked

def shape(r):
    h = plane(r.host)
    p = r.path
    if h == VAULT:
        return (r.method, h, "secrets" if p.strip("/")=="secrets" else "secret")
    if h == DATA: return (r.method, h, "")
    last = p.rsplit("/",1)[-1]
    if "operation" in p.lower(): return (r.method, h, "operation")
    return (r.method, h, last if r.method=="POST" else "account")

PATTERN = {"secrets": "^/secrets/?$", "secret": "^/secrets/.", "operation": "/operation", "account": "/providers/[^/]+/[^/]+/[^/]+$", "": ""}
HOST = {ARM: "^management", VAULT: "[.]vault[.]", DATA: "^(?!management)(?!.*[.]vault[.])"}

@pytest.mark.timeout(3000)
@pytest.mark.parametrize("service", SERVICES)
def test_explore(simulator, service):
    out = open(f"/tmp/answers-{service}.txt","w")
    for name in STORIES:
        story = STORIES[name]
        forms = MIXED[service]
        vaults=[v["name"] for v in story.estate(service, forms)["vaults"]]
        settings = {k:v for k,v in story.settings.items()}
        with machine(vaults, **settings) as lives:
            t = Trial(simulator, lives, story, service, forms)
            end, visits = t.uninterrupted()
            for v, sent in enumerate(visits):
                kinds = list(dict.fromkeys(shape(r) for r in sent))
                for kind in kinds:
                    for aname, answer in {**BEFORE, **AFTER}.items():
                        t.complaints.clear()
                        t.begin(f"{name} visit {v} {kind} {aname}")
                        for before in story.visits[:v]: t.happens(before)
                        fault = simulator.fault(host=HOST[kind[1]], path=PATTERN.get(kind[2], "/"+kind[2]+"$"), method=kind[0], **answer.fault("management." if kind[1]==ARM else "x.vault." if kind[1]==VAULT else "d"))
                        visit = story.visits[v]
                        simulator.clear_journal()
                        was = simulator.accounts()[0]["slots"]
                        t0=time.perf_counter()
                        try:
                            report = t.happens(visit, hasty=True)
                        except Exception as e:
                            traceback.print_exc(file=out)
                            out.write(f"ESCAPED {t._point} {e!r}\n"); out.flush(); continue
                        took=time.perf_counter()-t0
                        js = t.sent()
                        posts = sum(r.regenerates for r in js)
                        now = simulator.accounts()[0]["slots"]
                        per = {s: now[s]["regenerated"]-was[s]["regenerated"] for s in now}
                        t.require(posts <= sum(r.regenerates for r in sent), f"posts {posts}")
                        t.require(all(x<=1 for x in per.values()), f"per slot {per}")
                        hit = next(f["hits"] for f in simulator.faults() if f["id"]==fault)
                        simulator.lift(fault)
                        code = report.exit_code
                        for o in report.outcomes:
                            t.require(bool(o.account), "no account")
                            if o.exit_code:
                                text = str(o.error) if o.error else o.verdict.because
                                t.require(bool(text), "no text")
                        if code or visit.request.trigger != Trigger.OPERATOR:
                            t.happens(visit.later())
                        for r in story.visits[v+1:]: t.happens(r)
                        t.ended_like(end)
                        what = [(o.status, o.exit_code, o.error.code if o.error else o.verdict.reason.value) for o in report.outcomes] + [(k, e.exit_code, e.code) for k,e in report.problems.items()]
                        out.write(f"{'BAD ' if t.complaints else 'ok  '} {'WHO' if code not in (0, answer.who) else ''} {t._point} hits={hit} exit={code} who={answer.who} took={took:.2f} {what}\n")
                        for c in t.complaints: out.write("    " + c[-900:] + "\n")
                        out.flush()
