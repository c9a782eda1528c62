"""The dear contract: compile, export and ONNX. One depth a family; every net in `make test-all`."""

import io
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.export import Dim

import smallnets as sn
from zoo_cases import NARROW, NETS, ONE_A_FAMILY, free_size, pictures, small_side

each_net = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ONE_A_FAMILY else pytest.mark.slow) for name in NETS]
)
# What PyTorch's own exporters deprecate and announce is not ours to answer for.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def build(name: str) -> sn.Net:
    torch.manual_seed(0)
    return sn.build(name, num_classes=10, **(NARROW.get(name, {}) if name in ONE_A_FAMILY else {})).eval()


def sizes(name: str) -> list[Tensor]:
    """Pictures of several sizes and batches; one size only where the net fixes it."""
    first = pictures(name, 2, more=(5, 9))
    return [first, pictures(name, 3), pictures(name, 1, more=(16, 1))]


def dynamic_shapes(name: str) -> dict[str, dict[int, Dim]]:
    axes = {0: Dim("batch", min=1)}
    if free_size(name):
        least = small_side(name)
        axes |= {2: Dim("height", min=least, max=1024), 3: Dim("width", min=least, max=1024)}
    return {"x": axes}


def assert_close(seen: Tensor, expected: Tensor) -> None:
    assert (seen - expected).abs().max() <= 1e-4 * expected.abs().max()


@each_net
@torch.no_grad()
def test_full_graph(name: str) -> None:
    """No graph break, in training mode either."""
    net = build(name)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    x = pictures(name)
    assert torch.equal(compiled(x), net(x))
    net.train()
    assert compiled(pictures(name)).shape == (2, 10)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "lenet5" else pytest.mark.slow)
        for name in NETS
        if name != "resnet1202"  # hours; its graph is checked above, its kernels are those of resnet20
    ],
)
@torch.no_grad()
def test_compiled_to_kernels(name: str) -> None:
    net = build(name)
    compiled = torch.compile(net, fullgraph=True)
    x = pictures(name)
    assert_close(compiled(x), net(x))


@pytest.mark.skipif(
    torch.__version__ < (2, 14), reason="this torch.export fixes whether a side is odd, torchvision's nets too"
)
@each_net
@torch.no_grad()
def test_export_with_free_batch_height_and_width(name: str) -> None:
    net = build(name)
    inputs = sizes(name)
    exported = torch.export.export(net, (inputs[0],), dynamic_shapes=dynamic_shapes(name)).module()
    for x in inputs:
        assert_close(exported(x), net(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_export_with_free_batch_alone(name: str) -> None:
    net = build(name)
    exported = torch.export.export(net, (pictures(name),), dynamic_shapes={"x": {0: Dim("batch")}}).module()
    assert_close(exported(pictures(name, 5)), net(pictures(name, 5)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ONE_A_FAMILY and name != "resnet50_layer4" else pytest.mark.slow)
        for name in NETS
    ],
)
@torch.no_grad()
def test_onnx_runtime_says_the_same(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net = build(name)
    inputs = sizes(name)
    program = torch.onnx.export(net, (inputs[0],), dynamo=True, dynamic_shapes=dynamic_shapes(name), verbose=False)
    assert program is not None
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for x in inputs:
        (seen,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert_close(torch.from_numpy(seen), net(x))
