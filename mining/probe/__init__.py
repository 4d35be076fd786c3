"""A functional test suite for a target, made from a policy: HateCheck (Röttger et al. 2021, https://arxiv.org/abs/2012.15606)
for any policy, in the way of CheckList (Ribeiro et al. 2020, https://arxiv.org/abs/2005.04118).

It stands in mining: it finds what a target gets wrong and is worth labelling, without a search against that target. So the
same cases can be put to every version of it, and the outcomes compared one by one.
"""
