"""Training loops of others train our nets for a step or two."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import smallnets as sn
from docs.pages import blocks

pytestmark = pytest.mark.filterwarnings("ignore")
NETS = ["lenet5", "convnet3", "resnet20"]


def data(net: sn.Net) -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(8, *net.input_size, generator=generator), torch.arange(8) % 10)


@pytest.mark.parametrize("name", NETS)
def test_lightning(name: str, tmp_path: Any) -> None:
    lightning = pytest.importorskip("lightning")

    class Task(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = sn.build(name)
            self.example_input_array = torch.zeros(2, *self.net.input_size)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)  # type: ignore[no-any-return]

        def training_step(self, batch: Any, _: int) -> Tensor:
            return F.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.01)

    task = Task()
    trainer = lightning.Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path
    )
    trainer.fit(task, DataLoader(data(task.net), batch_size=4))
    assert trainer.global_step == 2
    again = Task.load_from_checkpoint(next(tmp_path.rglob("*.ckpt")))
    x = torch.zeros(2, *task.net.input_size)
    assert torch.equal(again.eval()(x), task.eval()(x))


def test_the_page_on_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "how-to" / "lightning.md"
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        exec(block.code.replace("max_epochs=10", "max_epochs=2"), names)
    accuracy = sn.evaluate(names["net"], names["load"]("digits", "test"), progress=False).accuracy
    assert accuracy > 0.5 and (tmp_path / "digits.safetensors").exists()


@pytest.mark.parametrize("name", NETS)
def test_skorch(name: str) -> None:
    skorch = pytest.importorskip("skorch")
    from sklearn.base import clone

    net = sn.build(name)
    x, y = (tensor.numpy() for tensor in data(net).tensors)
    learner = skorch.NeuralNetClassifier(
        net, criterion=nn.CrossEntropyLoss, max_epochs=2, lr=0.01, train_split=None, verbose=0
    )
    learner.fit(x.astype(np.float32), y)
    assert learner.predict(x).shape == (8,)
    assert clone(learner).module is not net
    by_class = skorch.NeuralNetClassifier(
        sn.resnet20, module__num_classes=10, max_epochs=1, train_split=None, verbose=0
    )
    if name == "resnet20":
        by_class.set_params(criterion=nn.CrossEntropyLoss).fit(x, y)


@pytest.mark.parametrize("name", NETS)
def test_accelerate(name: str) -> None:
    accelerate = pytest.importorskip("accelerate")
    net = sn.build(name)
    accelerator = accelerate.Accelerator(cpu=True)
    model, optimizer, loader = accelerator.prepare(
        net, torch.optim.SGD(net.parameters(), 0.01), DataLoader(data(net), batch_size=4)
    )
    for x, y in loader:
        accelerator.backward(F.cross_entropy(model(x), y))
        optimizer.step()
    with accelerate.init_empty_weights():
        empty = sn.build(name)
    assert all(parameter.is_meta for parameter in empty.parameters())
    hooked = accelerate.cpu_offload(sn.build(name).eval(), execution_device=torch.device("cpu"))
    assert hooked(torch.zeros(2, *net.input_size)).shape == (2, 10)
    with pytest.raises(sn.ShapeError):
        hooked(torch.zeros(2, 7, *net.input_size[1:]))


@pytest.mark.parametrize("name", NETS)
def test_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras was imported before with another backend")
    net = sn.build(name)
    inputs = keras.Input(net.input_size)
    outputs = keras.layers.TorchModuleWrapper(net, output_shape=(None, 10))(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = (tensor.numpy() for tensor in data(net).tensors)
    model.fit(x, y, batch_size=4, epochs=1, verbose=0)
    assert model.predict(x, verbose=0).shape == (8, 10)
    assert model.count_params() == sum(parameter.numel() for parameter in net.parameters())
