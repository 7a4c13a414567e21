"""The five READMEs put to the test: plan, runs, claims, rules, scoreboard."""
