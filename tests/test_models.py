"""Every published architecture has its published size and shape."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from mnistkit.models import (
    CNN,
    MLP,
    MODELS,
    Ensemble,
    MNISTModelV1,
    MNISTModelV2,
    build_model,
    count_operations,
    count_parameters,
    layer_table,
    model_table,
)
from tests.kept import assert_as_kept, rounded

COMPACT_PARAMETERS = (
    9 * (16 + 16 * 32 + 32 * 48 + 48 * 48 + 48 * 64 + 64 * 64)
    + 2 * (16 + 32 + 48 + 48 + 64 + 64) + (64 * 4 * 4 + 1) * 10
)  # fmt: skip

# Written out by hand from the READMEs' layer sizes: (inputs + 1) x outputs, layer by layer.
PARAMETERS = {
    "V0": 785 * 10 + 11 * 10,
    "V1": 785 * 10 + 11 * 10,
    "V1 corrected": 785 * 10 + 11 * 10,
    "V2": 10 * 10 + 3 * 91 * 10 + 491 * 10,
    "A baseline": 785 * 128 + 129 * 64 + 65 * 10,
    "A wide": 785 * 256 + 257 * 64 + 65 * 10,
    "B MLP": 785 * 256 + 257 * 128 + 129 * 10,
    "B CNN": 10 * 32 + 289 * 64 + 3137 * 128 + 129 * 10,
    "D deep": 785 * 512 + 513 * 256 + 257 * 128 + 129 * 10 + 2 * (512 + 256),
    "D larger": 785 * 1024 + 1025 * 512 + 513 * 256 + 257 * 128 + 129 * 10
    + 2 * (1024 + 512 + 256 + 128),
    "E MLP": 785 * 100 + 101 * 10,
    "E CNN": 10 * 32 + 289 * 64 + 3137 * 10,
    "E CNN corrected": 10 * 32 + 289 * 64 + 3137 * 10,
    "FastCNN": 25 * 16 + 9 * 16 * 32 + 9 * 32 * 64 + 2 * (16 + 32 + 64) + 577 * 10,
    "CompactCNN": COMPACT_PARAMETERS,
    "CompactCNN ensemble": 5 * COMPACT_PARAMETERS,
    "MobileNetV2": 3_504_872 - 1281 * 1000 + 1281 * 10,
    "MobileNetV2 head": 1281 * 10,
}  # fmt: skip


IMAGE_MODELS = [name for name in MODELS if not name.startswith("MobileNetV2")]


def test_the_table_names_every_model():
    lacking = set(MODELS) ^ set(PARAMETERS)
    assert not lacking, f"count their parameters by hand, and add them to PARAMETERS: {lacking}"


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_published(name):
    assert count_parameters(build_model(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", MODELS)
def test_an_architecture_stays_as_it_was(name):
    """Its layers with their options, how large its weights begin, its arithmetic, an answer."""
    model = build_model(name, seed=0).eval()
    norms = [parameter.detach().double().norm().item() for parameter in model.parameters()]
    lines = [repr(model), f"norms {rounded(norms)}"]
    if name in IMAGE_MODELS:
        image = torch.linspace(0, 1, 784).reshape(1, 1, 28, 28)
        costs = [count_operations(model, training=training) for training in (False, True)]
        lines += [f"operations {costs}",
                  f"answer {rounded(model(image).detach().double().flatten().tolist())}",
                  layer_table(model).to_string()]  # fmt: skip
    assert_as_kept(f"models-{name.replace(' ', '-')}", "\n".join(lines))


def test_a_head_takes_features_and_the_whole_network_any_number_of_classes():
    assert build_model("MobileNetV2 head")(torch.rand(3, 1280)).shape == (3, 10)
    assert count_parameters(build_model("MobileNetV2", classes=1000)) == 3_504_872


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_models_take_a_batch_and_give_ten_outputs(name):
    outputs = build_model(name)(torch.rand(3, 1, 28, 28))
    assert outputs.shape == (3, 10)
    kind = getattr(build_model(name), "outputs", "logits")
    total = {"probabilities": outputs, "log_probabilities": outputs.exp()}.get(kind)
    if total is not None:
        assert torch.allclose(total.sum(dim=1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_every_parameter_is_used_and_a_seed_fixes_them_all(name):
    first, again, other = (build_model(name, seed=seed) for seed in (1, 1, 2))
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)
    )
    assert not all(
        torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)
    )
    images = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    first(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in first.parameters())
    assert all(p.grad.any() for p in first.parameters())


def test_v1_as_published_has_no_negative_output_and_corrected_has():
    images = torch.rand(50, 1, 28, 28)
    assert MNISTModelV1()(images).min() == 0
    assert MNISTModelV1(relu_on_logits=False)(images).min() < 0


def test_v0_is_linear():
    model = build_model("V0", seed=0)
    a, b = torch.rand(2, 1, 1, 28, 28)
    middle = model((a + b) / 2)
    assert torch.allclose(middle, (model(a) + model(b)) / 2, atol=1e-5)


def test_v2_pools_to_seven_by_seven():
    table = layer_table(MNISTModelV2())
    assert table["output"].tolist()[-3:] == ["10 x 7 x 7", "490", "10"]
    assert table["parameters"].sum() == 7740


def test_mlp_puts_norm_activation_and_dropout_in_order():
    kinds = [type(layer).__name__ for layer in MLP((8, 4), "tanh", 0.5, batch_norm=1).layers]
    assert kinds == [
        "Flatten", "Linear", "BatchNorm1d", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"
    ]  # fmt: skip


def test_mlp_without_hidden_layers_is_linear():
    assert [type(layer) for layer in MLP(()).layers] == [nn.Flatten, nn.Linear]


def test_seed_fixes_weights_and_leaves_random_state_alone():
    before = torch.get_rng_state()
    a, b, c = (build_model("E MLP", seed=seed).layers[1].weight for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_options_replace_those_of_the_registry():
    assert count_parameters(build_model("A baseline", hidden=(5,))) == 785 * 5 + 6 * 10


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: build_model("V3"), "unknown model 'V3'; did you mean 'V"),
        (lambda: MLP(activation="rleu"), "did you mean 'relu'"),
        (lambda: MLP(dropout=1.0), "dropout is 1.0"),
        (lambda: MLP((128, 0)), "expected whole numbers of 1 or more"),
        (lambda: MLP((12.5,)), "expected whole numbers of 1 or more"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_frozen_parameters_are_not_trainable():
    model = CNN().requires_grad_(False)
    assert count_parameters(model, trainable_only=True) == 0
    assert count_parameters(model) == 50_186


def test_model_table_lists_what_was_asked_for():
    table = model_table(["V0", "E MLP"])
    assert table["parameters"].tolist() == [7960, 79510]
    assert table["README"].tolist() == ["C", "E"]


def test_layer_table_restores_the_mode():
    model = MLP(dropout=0.5).train()
    layer_table(model)
    assert model.training


def test_compact_cnn_sees_no_difference_in_normalised_images():
    # In training mode: what shifts or scales all pixels alike is undone by the batch norm.
    model, images = build_model("CompactCNN", seed=0), torch.rand(8, 1, 28, 28)
    torch.testing.assert_close(model(3 * images - 0.4), model(images), atol=2e-3, rtol=0)


def test_an_ensemble_is_the_mean_of_its_members_probabilities():
    members = [build_model("V0", seed=seed) for seed in range(3)]
    images = torch.rand(4, 1, 28, 28)
    together = Ensemble(members)
    expected = sum(member(images).softmax(dim=1) for member in members) / 3
    torch.testing.assert_close(together(images), expected)
    assert together.outputs == "probabilities"
    assert count_parameters(together) == 3 * PARAMETERS["V0"]
    assert count_parameters(build_model("CompactCNN ensemble", members=2)) == 2 * COMPACT_PARAMETERS


def test_compact_cnn_is_compact():
    assert count_parameters(build_model("CompactCNN")) <= 150_000


def test_operations_are_two_for_each_weight_a_pixel_meets():
    v0 = build_model("V0")
    assert count_operations(v0) == 2 * (784 * 10 + 10 * 10)
    # Backward: as many for the weights, and for what comes out of the first layer.
    assert count_operations(v0, training=True) == 2 * (2 * 784 * 10 + 3 * 10 * 10)
    cnn = 2 * (28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64 + 3136 * 10)
    assert count_operations(build_model("E CNN")) == cnn


def test_counting_operations_leaves_gradients_mode_and_chance_alone():
    model = build_model("D deep", seed=0).train()
    model.layers[1].weight.grad = gradient = torch.ones_like(model.layers[1].weight)
    state = torch.get_rng_state()
    statistics = model.state_dict()["layers.2.running_mean"].clone()
    count_operations(model, training=True)
    assert model.training
    assert model.layers[1].weight.grad is gradient
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.state_dict()["layers.2.running_mean"], statistics)
    frozen = build_model("V0")
    frozen.layers[1].requires_grad_(False)
    assert count_operations(frozen, training=True) < count_operations(
        build_model("V0"), training=True
    )


def test_attention_and_lstms_are_counted_too():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.LSTM(28, 10, batch_first=True)

        def forward(self, images):
            return self.rows(images.flatten(1, 2))[0]

    # Per row four gates, from 28 pixels and 10 states, a product and a sum each.
    assert count_operations(Last()) == 28 * 2 * 4 * 10 * (28 + 10)
    before = torch.backends.mha.get_fastpath_enabled()

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(28, 4, batch_first=True)

        def forward(self, images):
            rows = images.flatten(1, 2)
            return self.attention(rows, rows, rows, need_weights=False)[0]

    # Three projections and the last one, 28 x 28 each on 28 rows, and two products of heads.
    assert count_operations(Attention().eval()) == 2 * 28 * 28 * 28 * 4 + 2 * 2 * 28 * 28 * 28
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_without_options_an_mlp_is_as_baseline_and_a_cnn_as_published():
    assert repr(MLP()) == repr(build_model("A baseline"))
    assert repr(CNN()) == repr(build_model("E CNN"))


@pytest.mark.parametrize("name", ["V0", "V1", "V2"])
def test_a_width_that_is_none_is_named(name):
    with pytest.raises(ValueError, match="hidden_units is 0"):
        build_model(name, hidden_units=0)


def test_a_layer_that_gives_several_things_is_listed_by_the_first():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.last = nn.LSTM(28, 8, batch_first=True), nn.Linear(8, 10)

        def forward(self, images):
            return self.last(self.rows(images.squeeze(1))[0][:, -1])

    table = layer_table(Reader())
    assert table["output"].tolist() == ["28 x 8", "10"]


def test_a_layer_that_is_used_again_is_listed_again_and_counted_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.same, self.last = nn.Linear(784, 784), nn.Linear(784, 10)

        def forward(self, images):
            return self.last(self.same(self.same(images.flatten(1))))

    table, model = layer_table(Twice()), Twice()
    assert table["layer"].tolist() == ["Linear"] * 3
    assert table["parameters"].tolist() == [784 * 785, 0, 7850]
    assert table["parameters"].sum() == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "options", "complaint"), [
    ("E CNN", {"softmax": "no"}, "softmax is 'no', expected True or False"),
    ("V1", {"relu_on_logits": 0}, "relu_on_logits is 0, expected True or False"),
    ("A baseline", {"log_softmax": "false"}, "log_softmax is 'false', expected True or"),
    ("A baseline", {"batch_norm": "no"}, "batch_norm is 'no', expected a whole number"),
])  # fmt: skip
def test_a_word_is_no_yes_and_no_no(name, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        build_model(name, **options)


def test_threads_build_what_one_would():
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: build_model("D deep", seed=0), range(16)))
    sums = {sum(p.double().sum().item() for p in model.parameters()) for model in models}
    assert len(sums) == 1


def test_lazy_layers_have_nothing_to_count_yet():
    with pytest.raises(ValueError, match="its lazy layers have no parameters yet"):
        count_parameters(nn.LazyLinear(3))
