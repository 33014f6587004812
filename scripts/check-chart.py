#!/usr/bin/env python3
"""Renders the chart with every Helm and every set of values, and checks what comes out.

Usage: scripts/check-chart.py HELM3 HELM4 MANDATE [CHECKOV]   (from the repository's root, with the Python of target/tools/py)
"""

import sys

from chart import agreement, behaviour, checkov, documented, following, guide, older_claim, permutations, previous, refusals, server
from chart.render import Failure


def main(three, four, mandate, checkov_program=None):
    documented.check()
    permutations.check([three, four])
    agreement.check([three, four])
    previous.check([three, four])
    older_claim.check(four)
    refusals.check([three, four])
    behaviour.check(four)
    guide.check(four)
    server.check(four, mandate)
    following.check(four, mandate)
    checkov.check(four, checkov_program)


try:
    main(*sys.argv[1:])
except Failure as failure:
    sys.exit(f"chart: {failure}")
