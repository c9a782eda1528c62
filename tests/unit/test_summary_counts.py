"""Nets of kinds that counters stumble over, against FlopCounterMode, hand sums and autograd's own hooks."""

import collections
import functools
import queue
import threading
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm, weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from smallnets import check_shortcuts, min_input_size, summarize
from smallnets.errors import OptionError, ShapeError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*jit.script.*deprecated"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage:UserWarning"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning"),
]


def test_a_quantizable_net_that_is_not_quantised_is_a_float_net() -> None:
    net = torchvision.models.quantization.resnet18(quantize=False)
    assert summarize(net, (3, 64, 64)).totals.macs == 148_557_824


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-2, -1)), -1), v)


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.attend = nn.Linear(16, 16), torch.jit.script(attend)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        out: Tensor = self.attend(x, x, x)
        return out


def test_scripted_functions_keep_their_macs() -> None:
    summary = summarize(Scripted(), (10, 16))
    assert summary.totals.macs == 5_760
    assert sum(row.macs for row in summary.rows) == 5_760


def test_deformable_convolutions_count_and_their_field_is_named() -> None:
    class Deforms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torchvision.ops.DeformConv2d(64, 64, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(x, x.new_zeros(x.shape[0], 18, 64, 64))
            return out

    summary = summarize(Deforms(), (64, 64, 64))
    assert summary.totals.macs == 150_994_944
    assert "deform_conv2d in conv" in summary.notes[0]


def test_what_cannot_be_counted_is_named() -> None:
    class Solves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.inv(x)

    notes = summarize(Solves(), (3, 8, 8)).notes
    assert "The cost of linalg_inv_ex in forward is not known and counts as 0 MACs." in notes


class Recurrent(nn.Module):
    def __init__(self, kind: Any, packed: bool = False) -> None:
        super().__init__()
        self.cells, self.kind, self.packed = kind(16, 8, batch_first=True), kind, packed

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(1, x.shape[0], 8)
        start = (state, state) if self.kind is nn.LSTM else state
        if self.packed:
            lengths = torch.full((x.shape[0],), x.shape[1])
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            out: Tensor = pad_packed_sequence(self.cells(packed)[0], batch_first=True)[0]
            return out
        out = self.cells(x, start)[0]
        return out  # noqa: RET504  # typed above


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("packed", [False, True])
def test_states_made_on_the_spot_and_packed_sequences(kind: Any, gates: int, packed: bool) -> None:
    summary = summarize(Recurrent(kind, packed), (10, 16))
    assert summary.failure is None
    assert summary.totals.macs == 10 * gates * (8 * 16 + 8 * 8)


@pytest.mark.parametrize("mask", ["constant", "of the input"])
def test_padding_masks(mask: str) -> None:
    class Encodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 1)

        def forward(self, x: Tensor) -> Tensor:
            padded = torch.zeros(x.shape[:2], dtype=torch.bool) if mask == "constant" else x[..., 0] == 0
            out: Tensor = self.encoder(x, src_key_padding_mask=padded)
            return out

    assert summarize(Encodes(), (10, 16)).totals.macs == 23_680
    assert torch.backends.mha.get_fastpath_enabled()


class Slots:
    __slots__ = ("layer",)

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer


def reached(how: str, norm: nn.Module) -> Any:
    """Something that leads to the layer in an unusual way."""
    return {
        "closure": lambda x: norm(x),  # noqa: PLW0108  # the point
        "partial": functools.partial(lambda layer, x: layer(x), norm),
        "default": lambda x, layer=norm: layer(x),
        "slots": Slots(norm),
        "defaultdict": collections.defaultdict(list, {"layer": norm}),
        "deque": collections.deque([norm]),
        "array": np.array([norm, None], dtype=object),
        "decorated": torch.no_grad()(norm.forward),
    }[how]


class Reaches(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.how, self.way = how, reached(how, self.norm)

    def forward(self, x: Tensor) -> Tensor:
        way: Any = self.way
        layer: Any = {
            "slots": lambda: way.layer,
            "defaultdict": lambda: way["layer"],
            "deque": lambda: way[0],
            "array": lambda: way[0],
        }.get(self.how, lambda: way)()
        if self.how == "defaultdict":
            way["calls"].append(1)
        if self.how == "deque":
            way.append(1)
        out: Tensor = layer(x)
        return out


@pytest.mark.parametrize(
    "how", ["closure", "partial", "default", "slots", "defaultdict", "deque", "array", "decorated"]
)
def test_layers_reached_in_unusual_ways_stay_untouched_and_are_shown(how: str) -> None:
    net = Reaches(how).train()
    summary = summarize(net, (3, 8, 8))
    summary.training_memory()
    min_input_size(net, training=True)
    assert net.norm.num_batches_tracked == 0
    assert len(net.way) in (1, 2) if how in ("defaultdict", "deque") else True
    if how == "deque":
        assert len(net.way) == 1
    if how == "defaultdict":
        assert "calls" not in net.way
    # A bound method goes past the module, as a function of its weights.
    assert [(row.path, row.params) for row in summary.rows] == [("" if how == "decorated" else "norm", 6)]


def test_a_method_that_closes_over_a_layer_and_a_patched_forward() -> None:
    norm = nn.BatchNorm2d(3)

    class Closes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = norm(self.conv(x))
            return out

    net: Any = Closes().train()
    net.forward = torch.no_grad()(net.forward)
    assert summarize(net, (3, 8, 8)).failure is None
    summarize(net, (3, 8, 8)).training_memory()
    assert norm.num_batches_tracked == 0


OUTSIDE = nn.BatchNorm2d(3)


def test_a_global_layer_whose_counters_would_move_is_refused() -> None:
    class Global(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            OUTSIDE.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            return x.relu()

    with pytest.raises(ShapeError, match="expected a forward that writes only to what its module holds"):
        summarize(Global(), (3, 8, 8))
    assert OUTSIDE.num_batches_tracked == 0


def test_what_cannot_be_copied_is_refused() -> None:
    net: Any = nn.Sequential(nn.Conv2d(3, 3, 1))
    net.stream = (value for value in range(3))
    with pytest.raises(OptionError, match=r"attributes can be copied; got a builtins\.generator"):
        summarize(net, (3, 8, 8))


def test_a_wrong_head_is_told_after_a_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from smallnets.summary.recorder import Recorder

    runs: list[int] = []
    run = Recorder.run

    def counted(self: Recorder, args: Any, kwargs: Any) -> Any:
        runs.append(1)
        return run(self, args, kwargs)

    monkeypatch.setattr(Recorder, "run", counted)
    net = torchvision.models.resnet18()
    net.fc = nn.Linear(1000, 10)
    failure = summarize(net, (3, 224, 224)).failure
    assert failure == "ResNet: expected 1000 features at fc (Linear); got 512 in (1, 512)."
    assert len(runs) < 8


class Shortcut(nn.Module):
    def __init__(self, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


@pytest.mark.parametrize(("kernel", "dilation", "padding"), [(3, 1, 1), (5, 1, 2), (3, 2, 2)])
def test_missing_padding_is_named(kernel: int, dilation: int, padding: int) -> None:
    with pytest.raises(ShapeError) as caught:
        raise ShapeError(summarize(Shortcut(kernel, dilation), (3, 32, 32)).failure)
    assert f"as far apart at every picture size. Give conv padding={padding}." in str(caught.value)


class Meets(nn.Module):
    def __init__(self, width: int, stride: int, how: str = "add") -> None:
        super().__init__()
        self.a, self.b, self.how = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(3, width, 3, stride, 1), how

    def forward(self, x: Tensor) -> Tensor:
        return {"add": torch.add, "mul": torch.mul, "maximum": torch.maximum}[self.how](self.a(x), self.b(x))


@pytest.mark.parametrize("how", ["add", "mul", "maximum"])
@pytest.mark.parametrize("side", [32, 45])
def test_branches_of_other_widths_or_strides_are_named(how: str, side: int) -> None:
    said = summarize(Meets(5, 1, how), (3, side, side)).failure
    assert said is not None
    assert f"as many channels at {how}; got 4 in 1x4x{side}x{side} and 5 in 1x5x" in said
    for stride in (2, 4):
        said = summarize(Meets(4, stride, how), (3, side, side)).failure
        assert said is not None
        assert f"branches of one stride at {how}; got 1x4x{side}x{side} and 1x4x" in said


class UNet(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(depth))
        self.up = nn.ModuleList(nn.ConvTranspose2d(4, 4, 2, 2) for _ in range(depth))
        self.mix = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=1) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.stem(x), []
        for down in self.down:
            kept.append(x)
            x = down(F.max_pool2d(x, 2))
        for up, mix in zip(self.up, self.mix, strict=True):
            x = mix(torch.cat((kept.pop(), up(x)), 1))
        return x


@pytest.mark.parametrize(
    ("depth", "size", "words"),
    [
        (2, (350, 525), "Resize the picture to 348x524 or 352x528."),
        (1, (33, 64), "Resize the picture to 32x64 or 34x64."),
        (4, (100, 100), "Resize the picture to 96x96 or 112x112."),
    ],
)
def test_a_unet_names_the_nearest_sizes_that_fit(depth: int, size: tuple[int, int], words: str) -> None:
    failure = summarize(UNet(depth), (3, *size)).failure
    assert failure is not None
    assert failure.endswith(words)


class Grey(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.repeat(1, 3, 1, 1))


class HeadFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.stem = nn.Conv2d(16, 4, 1), nn.Conv2d(3, 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x))


class Reduces(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.interpolate(x, scale_factor=0.5) if self.how == "interpolate" else x[:, :, 2:].amax((2, 3))


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (HeadFirst(), (5, 5)),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 3)), (6, 6)),
        (Grey(), (3, 3)),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (28, 28)),
        (Reduces("interpolate"), (4, 4)),
        (Reduces("amax"), (5, 3)),
    ],
)
def test_stems_that_the_first_convolution_does_not_tell(net: nn.Module, size: tuple[int, int]) -> None:
    assert min_input_size(net) == size


def test_channels_and_input_say_what_the_pictures_are() -> None:
    net = nn.Conv2d(4, 4, 7)
    assert min_input_size(net, channels=4) == (7, 7)
    assert min_input_size(net, input=torch.zeros(1, 4, 9, 9)) == (7, 7)
    assert min_input_size(net, input=lambda h, w: ((4, h, w), torch.float32)) == (7, 7)
    with pytest.raises(ShapeError, match="some picture of 5 channels up to 512x512"):
        min_input_size(net, channels=5)


def kept(net: nn.Module, x: Tensor) -> int:
    """What autograd saves in a real run, without parameters and buffers."""
    owned = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        return saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net.train()(x)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in saved.items() if place not in owned)


class Attends(nn.Module):
    def __init__(self, masked: bool = False) -> None:
        super().__init__()
        self.qkv, self.masked = nn.Linear(32, 96), masked

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, 2, 16).permute(2, 0, 3, 1, 4)
        mask = torch.zeros(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device) if self.masked else None
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (Attends(), (256, 32)),
        (Attends(masked=True), (64, 32)),
        (nn.TransformerEncoderLayer(32, 2, 64, batch_first=True, dropout=0.0), (64, 32)),
        (nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), (64, 32)),
        (nn.GRU(16, 8, batch_first=True), (10, 16)),
    ],
)
def test_training_memory_of_attention_and_recurrence(net: nn.Module, size: tuple[int, int]) -> None:
    assert summarize(net, size).training_memory(2) == kept(net, torch.randn(2, *size))


class Heads(nn.Module):
    """Attention whose heads have no dimension of their own, or share keys and values."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.shared, self.q, self.k = shared, nn.Linear(16, 32), nn.Linear(16, 16 if shared else 32)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.q(x), self.k(x)
        if self.shared:
            q, k = (t.unflatten(2, (-1, 8)).transpose(1, 2) for t in (q, k))
        return F.scaled_dot_product_attention(q, k, k, enable_gqa=self.shared)


@pytest.mark.parametrize("shared", [False, True])
def test_training_memory_of_heads_that_share_or_have_no_dimension(shared: bool) -> None:
    assert summarize(Heads(shared), (24, 16)).training_memory(2) == kept(Heads(shared), torch.randn(2, 24, 16))


@pytest.mark.parametrize("normed", [weight_norm, spectral_norm])
def test_training_memory_of_weights_that_hooks_make(normed: Any) -> None:
    net = nn.Sequential(normed(nn.Conv2d(3, 4, 3)), nn.ReLU())
    summary = summarize(net, (3, 8, 8))
    assert summary.totals.macs == 36 * 4 * 27
    assert summary.training_memory(2) == kept(net, torch.randn(2, 3, 8, 8))


def test_what_an_lstm_and_a_recurrence_both_ways_keep_is_named() -> None:
    assert "training_memory counts cells step by step" in summarize(Recurrent(nn.LSTM), (10, 16)).notes[-1]
    assert "counts the layer step by step" in summarize(nn.GRU(16, 8, bidirectional=True), (10, 16)).notes[-1]
    assert not summarize(nn.GRU(16, 8), (10, 16)).notes


class Batch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.conv(batch["image"]) * batch["mask"]


class Scales(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, scale: int = 1) -> Tensor:
        return F.interpolate(self.conv(x), scale_factor=scale)


PICTURE = torch.zeros(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("net", "inputs", "output"),
    [
        (Batch(), {"image": PICTURE, "mask": torch.zeros(2, 1, 6, 6)}, (2, 4, 6, 6)),
        (Batch(), [{"image": PICTURE, "mask": ((1, 6, 6), torch.float32)}], (2, 4, 6, 6)),
        (Scales(), (PICTURE, 2), (2, 4, 12, 12)),
        (Scales(), {"x": PICTURE, "scale": 3}, (2, 4, 18, 18)),
        (Scales(), PICTURE, (2, 4, 6, 6)),
        (nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)), ((7,), torch.int64), (2, 7, 2)),
        (nn.Bilinear(3, 4, 5), [torch.zeros(2, 3), torch.zeros(2, 4)], (2, 5)),
    ],
)
def test_inputs_are_what_the_model_is_called_with(net: nn.Module, inputs: Any, output: tuple[int, ...]) -> None:
    summary = summarize(net, inputs=inputs, batch_size=2)
    assert summary.failure is None
    assert summary.rows[-1].output == output
    assert summary.training_memory() > 0
    assert str(summary)
    assert summary.to_html()


@pytest.mark.parametrize("given", [{}, {"input_size": (3, 8, 8), "inputs": PICTURE}, {"inputs": (3, 8, 8)}])
def test_inputs_that_say_nothing_are_refused(given: Any) -> None:
    with pytest.raises(ShapeError, match=r"summarize: expected (one of input_size and inputs|inputs with a tensor)"):
        summarize(nn.Conv2d(3, 4, 3), **given)


class Joins(nn.Module):
    def __init__(self, how: Any) -> None:
        super().__init__()
        self.a, self.b, self.how = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3), how

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.how(self.a(x), self.b(x))
        return out


def add_in_place(a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


@pytest.mark.parametrize(
    ("how", "name"),
    [
        (lambda a, b: torch.cat((a, b), dim=-1), "cat"),
        (lambda a, b: torch.stack((a, b)), "stack"),
        (lambda a, b: torch.stack((a, b), dim=-1), "stack"),
        (add_in_place, "add"),
        (lambda a, b: a - b, "add"),
        (lambda a, b: a * b, "mul"),
    ],
)
def test_joins_that_do_not_fit_are_listed(how: Any, name: str) -> None:
    (found,) = check_shortcuts(Joins(how), (3, 8, 8))
    assert (found.operation, found.broadcast) == (name, False)
    assert found.shapes == ((2, 3, 8, 8), (2, 3, 6, 6))


def test_a_net_without_rows_has_a_page() -> None:
    summary = summarize(nn.Identity(), (3, 8, 8))
    assert "Identity" in summary.to_html()


@pytest.mark.parametrize(
    "make",
    [
        threading.Lock,
        threading.Event,
        queue.Queue[int],
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    ],
)
def test_attributes_that_no_forward_needs(make: Any) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    net.held = make()
    assert summarize(net, (3, 8, 8)).rows[0].output == (1, 4, 6, 6)


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stft(x, 16, window=torch.hann_window(16), return_complex=True).abs()


def test_spectra_with_a_window_made_on_the_spot() -> None:
    net = nn.Sequential(Spectrum(), nn.Flatten(), nn.Linear(9 * 17, 2))
    assert summarize(net, inputs=((64,), torch.float32)).rows[-1].output == tuple(net(torch.zeros(1, 64)).shape)


def test_sparse_attributes() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph, self.linear = torch.eye(4).to_sparse_csr(), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.graph, self.linear(x))

    summary = summarize(Sparse(), (4,), batch_size=4)
    assert summary.rows[0].path == "linear"
    assert any("_sparse" in note for note in summary.notes)


@pytest.mark.parametrize("layer", [nn.Linear(4, 2).half(), nn.Linear(4, 2).double()])
def test_kinds_of_numbers_that_a_real_run_refuses(layer: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)
    failure = summarize(net, (3, 8, 8)).failure
    assert failure is not None
    assert "both must have the same dtype" in failure
    with pytest.raises(RuntimeError):
        net(torch.zeros(1, 3, 8, 8))
