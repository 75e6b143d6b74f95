"""Facts are checked on recorded answers; the rest of the module is tested through `test_android`."""

from __future__ import annotations

from model_maker.benchmark.adb import AdbReply
from model_maker.benchmark.phone import DeviceFacts, read_facts


class Recorded:
    """Stands for a device that answers every command with one text."""

    serial = "R58M123"

    def __init__(self, text: str):
        self._text = text

    def shell(self, command: str) -> AdbReply:
        return AdbReply(self._text, 0)


def test_facts_of_a_phone_of_today():
    text = (
        "[ro.build.version.release]: [15]\n[ro.build.version.sdk]: [35]\n[ro.hardware]: [shiba]\n"
        "[ro.product.cpu.abi]: [arm64-v8a]\n[ro.product.cpu.abilist]: [arm64-v8a]\n[ro.product.model]: [Pixel 8]\n"
        "[ro.soc.manufacturer]: [Google]\n[ro.soc.model]: [Tensor G3]\ncpus=0-8\n"
    )
    assert read_facts(Recorded(text)) == DeviceFacts(
        serial="R58M123", model="Pixel 8", android="15", api=35, abis=("arm64-v8a",), soc="Tensor G3", cpus=9
    )


def test_facts_of_an_old_phone():
    # Before Android 5 there is no list of ABIs, before Android 12 no ro.soc; a core may be missing.
    text = (
        "[ro.board.platform]: [msm8974]\n[ro.build.version.release]: [4.4.4]\n[ro.build.version.sdk]: [19]\n"
        "[ro.product.cpu.abi]: [armeabi-v7a]\n[ro.product.model]: [Nexus 5]\n[ro.soc.model]: []\ncpus=0-1,3\n"
    )
    facts = read_facts(Recorded(text))
    assert (facts.abis, facts.soc, facts.api, facts.cpus) == (("armeabi-v7a",), "msm8974", 19, 3)


def test_facts_that_are_not_told_are_empty():
    assert read_facts(Recorded("cpus=\n")) == DeviceFacts("R58M123", "", "", None, (), "", None)
