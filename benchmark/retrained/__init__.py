"""DECA, Deng, Chen and Tran on the open head: their texture models as their papers describe them, trained by us.

All see the same fits, the same photographs and the same template as FTIM, so that only the texture model differs.
docs/baselines.md says, method by method, what is as published and what is not.
"""
