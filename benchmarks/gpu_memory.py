"""Memory: the most that a training step takes on the device, beside what ``training_memory`` says of it."""

from typing import Any

import train as peers
from gpu_common import Rows, Settings, synchronise

CASES = (("convnet3", 512), ("resnet20", 512), ("resnet18", 256), ("vgg16", 512), ("resnet50", 128))


def memory(settings: Settings) -> None:
    """A row a net: what the forward pass keeps for the backward pass, counted and predicted, and the peak of a step."""
    rows = Rows(settings, "memory")
    for net, batch in CASES[:1] if settings.quick else CASES:
        rows.add(net, lambda: one(net, 8 if settings.quick else batch, settings.device), least=2)  # noqa: B023


def one(net: str, batch: int, device: str) -> dict[str, Any]:
    import torch

    import smallnets as sn

    model = peers.build(net)
    predicted = sn.summarize(model, (3, 32, 32)).training_memory(batch_size=batch)
    weights = sum(t.nbytes for t in [*model.parameters(), *model.buffers()])
    found: dict[str, Any] = {"batch": batch, "predicted activations": predicted, "weights": weights}
    model.to(device).train()
    images, labels = torch.randn(batch, 3, 32, 32, device=device), torch.arange(batch, device=device) % 10
    optimizer = torch.optim.Adam(model.parameters(), lr=peers.LR, fused=True)
    if not device.startswith("cuda"):
        return found

    def step() -> int:
        before = torch.cuda.memory_allocated()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        kept = torch.cuda.memory_allocated() - before
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return kept

    step()  # the library's workspace and the optimiser's state come with the first one
    synchronise(device)
    torch.cuda.reset_peak_memory_stats()
    kept = step()
    synchronise(device)
    peak = torch.cuda.max_memory_allocated()
    # Adam: weights, their gradients and two averages, beside what the forward pass keeps.
    whole = predicted + 4 * weights + images.nbytes
    found |= {"activations": kept, "peak": peak, "predicted peak": whole}
    return found | {"activations / predicted": round(kept / predicted, 3), "peak / predicted": round(peak / whole, 3)}
