"""Measures the engine against the simulator, beside what a user would pick instead and against the limit.

    make bench        everything, in about ten minutes, into bench/results/

`docs/performance.md` says how to read it.
"""
