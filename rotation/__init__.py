"""Keeps the access keys of Azure accounts young; the tour.

    settings    what the environment says
    fleet       lists the allowed vaults, groups the secrets by account, works on many at once
    rotate      one account: observe, judge, act, until nothing is left to do
    observe     reads the account, its keys and its publications, all at once
    policy      judges the facts by an ordered list of rules
    act         performs a verdict: regenerate, try, publish in one write
    tags        the only memory: what is known of a publication stands in its tags
    ports       what all this needs of the world; `cloud` and `providers` are Azure behind it
    report      what came of it
    tracing     tells what is done as spans, where somebody collects them
    triggers    what the Functions app does when a timer, an event, a message or a caller starts it

Start reading at `rotate.py`, then `policy.py`.
"""
