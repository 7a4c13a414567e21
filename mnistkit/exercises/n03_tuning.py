"""Exercises of 03_mlp_tuning_qmnist: choosing early, large batches, sums of gains, sceptics."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from mnistkit.exercises.exercise import call, exercise, number, parts, told_apart, what, wrong_if
from mnistkit.experiments.recipe import Recipe


@exercise(
    "3.1",
    wants="the name of a recipe, and after it `runs`",
    hint='`runs[runs["seed"] == 0]` are the runs of one seed; among them `idxmax()` finds the row '
    "with the highest validation accuracy.",
    solution="""
first = runs[runs["seed"] == 0]
answer = first.loc[first["validation_accuracy"].idxmax(), "name"]
""",
)
def after_one_seed(answer: object, runs: pd.DataFrame) -> str:
    """The best of seed 0."""
    wrong_if(not isinstance(answer, str), f"the answer is {what(answer)}, and a name is asked for")
    wrong_if(
        answer not in set(runs["name"]),
        f"no recipe is called {answer!r} in `runs`; the baseline is called 'cross-entropy' there",
    )
    first = runs[runs["seed"] == 0].set_index("name")["validation_accuracy"]
    means = runs.groupby("name")["validation_accuracy"].mean()
    if first[answer] < first.max():
        wrong_if(
            means[answer] == means.max(), "that is the best over all seeds; you would have had one"
        )
        wrong_if(True, f"with seed 0 {int((first > first[answer]).sum())} recipes are better")
    place = int((means > means[answer]).sum()) + 1
    if place == 1:
        return "over all seeds it is the best, too. This time one seed would have done; who knew?"
    return f"over all seeds it is number {place} of {len(means)}. One seed chooses luck as well."


@exercise(
    "3.2",
    wants="a `Recipe` of the baseline with batches of 256 at rate 0.004",
    hint="`varied(...)` from above changes fields of the baseline: `batch_size` and "
    "`learning_rate`.",
    solution="""
answer = varied(batch_size=256, learning_rate=0.004)
""",
)
def larger_batch(answer: object) -> str:
    """Both fields, and nothing else."""
    wrong_if(
        not isinstance(answer, Recipe), f"the answer is {what(answer)}, and a `Recipe` is asked for"
    )
    wrong_if(
        answer.model != "A baseline" or answer.options,
        "change the baseline in these two things only; this is another network",
    )
    wrong_if(answer.batch_size != 256, f"its batches are of {answer.batch_size}")
    wrong_if(
        math.isclose(answer.learning_rate, 0.00025),
        "a larger batch needs a larger rate: multiply by four, do not divide",
    )
    wrong_if(math.isclose(answer.learning_rate, 0.001), "its rate is still that of batches of 64")
    wrong_if(not math.isclose(answer.learning_rate, 0.004), f"its rate is {answer.learning_rate:g}")
    wrong_if(
        answer.optimizer != "adam",
        f"its optimiser is {answer.optimizer!r}; change the baseline in two things only",
    )
    return "a quarter of the steps, each four times as long. 3.3 asks whether that is enough."


@exercise(
    "3.3",
    wants='{"gap": what `paired_difference` gives, "batch 256": "better", "worse" or "not told '
    'apart"}',
    hint="Run the recipe of 3.2 with `run_grid` and the same seeds, put it beside the baseline's "
    'runs with `pd.concat`, and ask `paired_difference` for it and "cross-entropy".',
    solution="""
large = run_grid(
    {"batch 256, rate 0.004": varied(batch_size=256, learning_rate=0.004)}, range(seeds), digits
)
gap = paired_difference(pd.concat([runs, large]), "batch 256, rate 0.004", "cross-entropy")
verdict = "better" if gap.low > 0 else "worse" if gap.high < 0 else "not told apart"
answer = {"gap": gap, "batch 256": verdict}
""",
)
def is_it_behind(answer: object) -> str:
    """A paired difference, and a word that its interval bears out."""
    given = parts(answer, ["gap", "batch 256"])
    return told_apart(given["gap"], given["batch 256"], least=2) + "."


@exercise(
    "3.4",
    wants="a function of a difference and the standard deviation of paired differences, both in "
    "points, that returns a number of seeds",
    hint="With n seeds the interval reaches about 1.96 standard deviations / √n to both sides. "
    "That has to be less than the difference. Round up.",
    solution="""
import math


def seeds_needed(difference, deviation):
    return max(2, math.ceil((1.96 * deviation / difference) ** 2))


wider = paired_difference(runs, "A wide (256, 64)", "cross-entropy")
print(seeds_needed(0.1, 100 * wider.deviation), "seeds to see a tenth of a point")
""",
)
def seeds_needed(answer: object) -> str:
    """Between what just suffices on average and what nearly always does."""
    cases = [(0.1, 0.3), (0.2, 0.3), (0.1, 0.6)]
    found = [number(call(answer, *case), "what your function returns") for case in cases]
    wrong_if(any(value != round(value) for value in found), "a number of seeds is whole; round up")
    wrong_if(found[1] >= found[0], "the larger the difference, the fewer seeds it needs")
    wrong_if(found[2] <= found[0], "the wider the runs spread, the more seeds are needed")
    wrong_if(
        found[2] / found[0] < 3,
        "twice the standard deviation needs four times the seeds: the interval shrinks with √n",
    )
    for (difference, deviation), n in zip(cases, found, strict=True):
        least = math.ceil((1.96 * deviation / difference) ** 2)
        reach = stats.t.ppf(0.975, max(n - 1, 1)) * deviation / np.sqrt(n)
        wrong_if(
            n < least,
            f"with {n:.0f} seeds the interval reaches {reach:.2f} points to both "
            f"sides, and a difference of {difference} would not show",
        )
        wrong_if(
            n > 4 * least + 10,
            f"{n:.0f} seeds are more than a difference of {difference} "
            f"needs at a standard deviation of {deviation}; about {least} will do",
        )
    return "so a tenth of a point is expensive. A sceptic would ask for more, to see it every time."


@exercise(
    "3.5",
    wants='{"recipe": ..., "gap": ..., "all together": "better", "worse" or "not told apart"}',
    hint="Which rows of the table of single changes were better than the baseline? Put all of "
    "them into one `varied(...)`, and compare it, paired, with the best of them.",
    solution="""
together = varied(options={"activation": "tanh", "dropout": 0.2})  # better on full MNIST
sum_runs = run_grid({"together": together}, range(seeds), digits)
gap = paired_difference(pd.concat([runs, sum_runs]), "together", "tanh")
verdict = "better" if gap.low > 0 else "worse" if gap.high < 0 else "not told apart"
answer = {"recipe": together, "gap": gap, "all together": verdict}
""",
)
def all_together(answer: object) -> str:
    """A recipe that differs from the baseline in two things or more."""
    given = parts(answer, ["recipe", "gap", "all together"])
    recipe = given["recipe"]
    wrong_if(
        not isinstance(recipe, Recipe), f"recipe is {what(recipe)}, and a `Recipe` is asked for"
    )
    base = Recipe("A baseline")
    fields = ("model", "batch_size", "optimizer", "learning_rate", "loss", "weight_decay")
    changed = [name for name in fields if getattr(recipe, name) != getattr(base, name)]
    wrong_if(
        len(changed) + len(recipe.options) < 2,
        "it differs from the baseline in one thing only; put all the good ones together",
    )
    return told_apart(given["gap"], given["all together"], least=2) + "; gains seldom add up."
