"""A grid gives the same rows however it is spread, and compares like with like."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from mnistkit.errors import ResultError, StorageError, UnknownNameError
from mnistkit.experiments import experiment
from mnistkit.experiments.experiment import paired_difference, run_experiment, run_grid, summarize
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.run import train_recipe
from mnistkit.training import evaluate
from tests.experiments.grids import RECIPES, grid, times


def test_parallel_and_serial_runs_are_equal_bit_for_bit(easy_digits):
    threads = torch.get_num_threads()
    serial = run_grid(RECIPES, range(2), easy_digits, test=True, jobs=1)
    parallel = run_grid(RECIPES, range(2), easy_digits, test=True, jobs=2)
    assert serial[["name", "seed"]].to_numpy().tolist() == [
        ["V0", 0], ["V0", 1], ["tanh", 0], ["tanh", 1]
    ]  # fmt: skip
    pd.testing.assert_frame_equal(serial.drop(columns="seconds"), parallel.drop(columns="seconds"))
    assert torch.get_num_threads() == threads


def test_a_row_is_what_training_by_hand_gives(easy_digits):
    row = run_experiment(RECIPES["tanh"], [4], easy_digits, test=True, jobs=1).runs.iloc[0]
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, history = train_recipe(RECIPES["tanh"], easy_digits, seed=4)
    result = evaluate(model, easy_digits.test.loader(64))
    torch.set_num_threads(torch_threads)
    assert row["validation_accuracy"] == history.last["validation_accuracy"]
    assert row["test_accuracy"] == result.accuracy
    assert row["parameters"] == 785 * 16 + 17 * 10


def test_test_is_not_looked_at_unless_asked(easy_digits):
    frame = run_grid(RECIPES, [0], easy_digits, jobs=1)
    assert not [column for column in frame if column.startswith("test")]


def test_models_and_histories_are_kept_on_request(easy_digits):
    frame = run_grid(RECIPES, [0], easy_digits, test=True, keep_models=True, jobs=1)
    for row in frame.itertuples():
        assert evaluate(row.model, easy_digits.test.loader(64)).accuracy == row.test_accuracy
        assert len(row.history.rows) == 1


def runs(values):
    rows = [
        {"name": name, "seed": seed, "validation_accuracy": value}
        for name, numbers in values.items()
        for seed, value in enumerate(numbers)
    ]
    return pd.DataFrame(rows)


def test_summary_keeps_the_order_and_counts_runs():
    table = summarize(runs({"z": [0.5, 0.7], "a": [0.9, 0.9]}))
    assert table.index.tolist() == ["z", "a"]
    assert table.loc["z", "mean"] == pytest.approx(0.6)
    assert table.loc["z", "worst"] == 0.5
    assert table["n"].tolist() == [2, 2]


def test_pairing_finds_a_small_steady_difference():
    # The seeds differ by ten points, the recipes by one on every seed.
    gap = paired_difference(runs({"a": [0.71, 0.81, 0.911], "b": [0.70, 0.80, 0.90]}), "a", "b")
    assert gap.mean == pytest.approx(0.031 / 3)
    assert 0 < gap.low < gap.high


def test_seeds_that_only_others_ran_do_not_disturb_a_pair():
    gap = paired_difference(runs({"a": [0.8, 0.9], "b": [0.7, 0.8], "c": [0.1] * 5}), "a", "b")
    assert gap.n == 2
    assert gap.mean == pytest.approx(0.1)


def test_a_diverged_run_is_not_dropped_from_a_pair():
    gap = paired_difference(runs({"a": [0.8, float("nan")], "b": [0.7, float("nan")]}), "a", "b")
    assert gap.n == 2
    assert gap.mean != gap.mean, "NaN, not the mean of what is left"


def test_unpaired_runs_are_refused():
    frame = runs({"a": [0.7, 0.8], "b": [0.7]})
    with pytest.raises(ValueError, match="have not been run with the same seeds"):
        paired_difference(frame, "a", "b")
    with pytest.raises(UnknownNameError, match=r"name of runs 'bb'; did you mean 'b'"):
        paired_difference(frame, "a", "bb")


def test_nothing_to_run_is_named(easy_digits):
    with pytest.raises(ValueError, match="give at least one recipe and one seed"):
        run_grid(RECIPES, [], easy_digits)


def test_a_run_that_diverges_is_said_and_loses_nothing(easy_digits, capsys):
    recipes = {"wild": Recipe("A baseline", epochs=1, optimizer="sgd", learning_rate=1e6)}
    frame = run_grid(recipes | {"V0": RECIPES["V0"]}, [0], easy_digits, test=True, jobs=1)
    said = capsys.readouterr().out
    assert "wild, seed 0: epoch 1, batch" in said
    assert "the loss is" in said
    assert summarize(frame)["mean"].isna().tolist() == [True, False]


def test_an_experiment_is_summarised_on_test_only_if_asked(easy_digits):
    on_test = run_experiment(RECIPES["V0"], range(3), easy_digits, test=True, jobs=1)
    values = on_test.runs["test_accuracy"]
    assert on_test.accuracy.mean == pytest.approx(values.mean())
    assert on_test.accuracy.deviation == pytest.approx(values.std())
    assert on_test.accuracy.worst == values.min()
    assert on_test.accuracy.n == 3
    assert on_test.accuracy.low < on_test.accuracy.mean < on_test.accuracy.high
    elsewhere = run_experiment(RECIPES["V0"], range(3), easy_digits, jobs=1)
    assert elsewhere.accuracy.mean == elsewhere.runs["validation_accuracy"].mean()


# --- kept in files ------------------------------------------------------------------------


def test_runs_that_are_there_are_read_and_equal(easy_digits, tmp_path):
    first = grid(easy_digits, tmp_path, jobs=2)
    written = times(tmp_path)
    second = grid(easy_digits, tmp_path)
    pd.testing.assert_frame_equal(first, second)
    assert times(tmp_path) == written
    assert len(written) == 4


def test_only_what_is_missing_is_run(easy_digits, tmp_path):
    whole = grid(easy_digits, tmp_path)
    written = times(tmp_path)
    gone = sorted(tmp_path.iterdir())[1]
    gone.unlink()
    again = grid(easy_digits, tmp_path)
    changed = {name for name, at in times(tmp_path).items() if written[name] != at}
    assert changed == {gone.name}
    pd.testing.assert_frame_equal(whole.drop(columns="seconds"), again.drop(columns="seconds"))


def test_a_grid_that_is_cut_short_keeps_what_was_finished(easy_digits, tmp_path):
    recipes = {name: replace(recipe, augment=stop_once) for name, recipe in RECIPES.items()}
    BATCHES.clear()
    with pytest.raises(KeyboardInterrupt):
        grid(easy_digits, tmp_path, recipes=recipes)
    assert len(times(tmp_path)) == 2
    assert len(grid(easy_digits, tmp_path, recipes=recipes)) == 4
    assert len(BATCHES) == 25 + 2 * 10, "what was finished is not run again"


BATCHES = []


def stop_once(images):
    """Somebody stops the grid in its 25th batch, which is of the third run: each has ten."""
    if len(images) > 2:  # two are tried before anything is trained
        BATCHES.append(len(images))
        if len(BATCHES) == 25:
            raise KeyboardInterrupt
    return images


def test_a_changed_result_stops_the_grid(easy_digits, tmp_path):
    grid(easy_digits, tmp_path)
    victim = sorted(tmp_path.iterdir())[0]
    victim.write_text(victim.read_text().replace('"seconds": ', '"seconds": 1'))
    with pytest.raises(ResultError, match="has been changed"):
        grid(easy_digits, tmp_path)


def test_other_digits_are_not_taken_for_these(easy_digits, tmp_path):
    first = grid(easy_digits, tmp_path, recipes={"V0": RECIPES["V0"]}, seeds=[0])
    fewer = replace(easy_digits, train=easy_digits.train[:100])
    second = grid(fewer, tmp_path, recipes={"V0": RECIPES["V0"]}, seeds=[0])
    assert len(times(tmp_path)) == 2
    assert first["test_loss"][0] != second["test_loss"][0]


def test_stored_test_numbers_are_shown_only_if_asked(easy_digits, tmp_path):
    grid(easy_digits, tmp_path)
    assert not [c for c in grid(easy_digits, tmp_path, test=False) if c.startswith("test")]


def test_a_diverged_run_is_kept_and_said_again(easy_digits, tmp_path, capsys):
    wild = {"wild": Recipe("A baseline", epochs=1, optimizer="sgd", learning_rate=1e6)}
    for _ in range(2):
        frame = grid(easy_digits, tmp_path, seeds=[0], recipes=wild)
        assert "wild, seed 0: epoch 1, batch" in capsys.readouterr().out
        assert frame["validation_accuracy"].isna().all()
    assert len(times(tmp_path)) == 1


def test_models_are_not_promised_from_files(easy_digits, tmp_path):
    with pytest.raises(ValueError, match="give folder or keep_models"):
        grid(easy_digits, tmp_path, keep_models=True)


def test_a_recipe_that_cannot_be_written_down_is_refused_before_it_is_run(easy_digits, tmp_path):
    nameless = {"V0": Recipe("V0", scheduler=lambda optimizer: StepLR(optimizer, 1))}
    with pytest.raises(ValueError, match="has no name"):
        grid(easy_digits, tmp_path, recipes=nameless)


def test_a_bar_begins_with_what_is_there(easy_digits, tmp_path, monkeypatch):
    run_grid(RECIPES, range(1), easy_digits, folder=tmp_path, jobs=1)
    seen = {}
    bar = experiment.progress_bar
    monkeypatch.setattr(
        experiment,
        "progress_bar",
        lambda *args, **options: seen.update(options) or bar(*args, **options),
    )
    run_grid(RECIPES, range(3), easy_digits, folder=tmp_path, jobs=1)
    assert seen == {"done": len(RECIPES)}


def test_a_table_that_is_of_no_runs_is_named():
    with pytest.raises(ValueError, match="seed"):
        paired_difference(pd.DataFrame({"name": ["a", "b"]}), "a", "b")
    with pytest.raises(ValueError, match="test_accuracy"):
        paired_difference(pd.DataFrame({"name": ["a"], "seed": [0]}), "a", "b", "test_accuracy")


def test_a_grid_that_is_interrupted_returns_what_was_finished(easy_digits, monkeypatch, capsys):
    def stopped(function, rows, *args, **options):
        for done, result in enumerate(run_in_parallel(function, rows, *args, **options)):
            if done == 2:
                raise KeyboardInterrupt
            yield result

    run_in_parallel = experiment.run_in_parallel
    monkeypatch.setattr(experiment, "run_in_parallel", stopped)
    runs = run_grid(RECIPES, range(2), easy_digits, jobs=1)
    assert len(runs) == 2
    assert "interrupted: 2 of" in capsys.readouterr().out


def test_the_worst_loss_is_the_largest():
    runs = pd.DataFrame({"name": "a", "validation_loss": [0.1, 0.9], "seconds": [2.0, 1.0],
                         "test_accuracy": [0.5, 0.7]})  # fmt: skip
    worst = [summarize(runs, value)["worst"].item() for value in runs.columns[1:]]
    assert worst == [0.9, 2.0, 0.5]


def test_an_experiment_without_validation_digits_is_refused_before_it_runs(easy_digits):
    some = replace(easy_digits, validation=easy_digits.validation[:0])
    with pytest.raises(ValueError, match="no validation digits"):
        run_experiment(next(iter(RECIPES.values())), [0], some)


def test_changed_labels_are_other_digits(easy_digits, tmp_path):
    digits = replace(easy_digits, train=easy_digits.train[torch.arange(len(easy_digits.train))])
    recipe = next(iter(RECIPES.values()))
    first = run_experiment(recipe, [0], digits, folder=tmp_path, jobs=1)
    before = digits.digest
    digits.train.labels[:] = digits.train.labels.flip(0)
    assert digits.digest != before
    assert len(list(tmp_path.glob("*.json"))) == 1
    run_experiment(recipe, [0], digits, folder=tmp_path, jobs=1)
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert first.runs["seed"].tolist() == [0]


def test_tensors_that_do_not_count_their_changes_have_a_digest(easy_digits):
    with torch.inference_mode():
        train = easy_digits.train[torch.arange(len(easy_digits.train))]
    digits = replace(easy_digits, train=train)
    assert digits.digest == easy_digits.digest
    with torch.inference_mode():
        digits.train.labels[:] = digits.train.labels.flip(0)
    assert digits.digest != easy_digits.digest


def test_a_folder_that_is_a_file_is_refused_before_anything_is_done(
    easy_digits, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(experiment, "_identities", lambda *_: pytest.fail("it went on"))
    with pytest.raises(StorageError, match="file"):
        grid(easy_digits, tmp_path / "file")


def test_names_may_be_numbers():
    rows = [(name, seed, 0.9 + 0.01 * name) for name in (1, 2) for seed in range(3)]
    runs = pd.DataFrame(rows, columns=["name", "seed", "validation_accuracy"])
    assert paired_difference(runs, 2, 1).mean == pytest.approx(0.01)
    with pytest.raises(UnknownNameError, match="unknown name of runs 3"):
        paired_difference(runs, 3, 1)


def test_runs_of_others_do_not_matter_to_a_difference():
    runs = pd.DataFrame({
        "name": ["a", "b", "a", "b", "c", "c"], "seed": [0, 0, 1, 1, 0, 0],
        "validation_accuracy": [0.9, 0.8, 0.91, 0.83, 0.1, 0.2],
    })  # fmt: skip
    assert paired_difference(runs, "a", "b").mean == pytest.approx(0.09)


@pytest.mark.parametrize("stored", [True, False])
def test_stopped_before_a_run_is_finished_it_says_so_in_a_line(
    easy_digits, tmp_path, monkeypatch, stored
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run_in_parallel", stop)
    where = {"folder": tmp_path / "runs"} if stored else {}
    with pytest.raises(
        KeyboardInterrupt, match=str(tmp_path) if stored else "no run was fin"
    ) as on:
        run_grid({"V0": Recipe("V0")}, [0], easy_digits, **where)
    (line,) = on.value._render_traceback_()
    assert line.startswith("interrupted: ")
