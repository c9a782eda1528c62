"""The example page: an exported net, onnxruntime-web and nothing else, in a real browser."""

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import smallnets as sn
from serving import serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser" / "index.html"


@pytest.mark.parametrize("channels", [1, 3])
def test_an_exported_net_answers_in_a_browser(browser: Any, fetched: Any, tmp_path: Path, channels: int) -> None:
    assert fetched.VERSION in EXAMPLE.read_text()
    shutil.copy(EXAMPLE, tmp_path)
    with tarfile.open(fetched.kept()) as archive:
        for name in fetched.FILES[1:]:
            archive.extract(f"package/dist/{name}", tmp_path, filter="data")
        archive.extract("package/dist/ort.wasm.min.mjs", tmp_path, filter="data")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "package").rename(tmp_path / "node_modules" / "onnxruntime-web")
    if channels == 1:
        net = sn.lenet5(weights="digits")
        pictures = sn.data.load("digits", "test").images[:6]
    else:
        net = sn.resnet20(num_classes=3)
        net.data_facts = sn.DataFacts(
            classes=("caf\u00e9", "b", "c"), channels=3, size=(32, 32), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)
        )
        pictures = (sn.data.load("digits", "test").images[:3].repeat(1, 3, 1, 1) * 0.9).byte()
        pictures[:, 0] //= 2
    sn.export(net, tmp_path / "net.onnx")
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(
            pixels.permute(1, 2, 0).squeeze(2).numpy() if channels == 1 else pixels.permute(1, 2, 0).numpy()
        ).save(path)
    expected = sn.predict(net, pictures)
    said: list[str] = []
    with serving(tmp_path) as url:
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        page.locator("#files:not([disabled])").set_input_files(paths)
        page.wait_for_function(f"document.querySelectorAll('li').length === {len(paths)}")
        answers = page.locator("li").all_inner_texts()
        page.close()
    assert said == []
    for path, answer, label, shares in zip(paths, answers, expected.labels, expected.probabilities, strict=True):
        name, share = answer.removeprefix(f"{path.name}: ").split(", ")
        assert name == expected.classes[label]
        assert float(share.split()[0]) / 100 == pytest.approx(float(shares.max()), abs=2e-3)
