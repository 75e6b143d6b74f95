"""The iOS app, as far as it can be checked without Xcode: syntax, property lists, the project's references."""

import json
import plistlib
import re
from pathlib import Path

import pytest
import syntax
from checkout import ROOT

from model_maker.apps import put_in_app

APP = ROOT / "ios_assets"
SOURCES = sorted((APP / "Classifier").glob("*.swift"))
PROJECT = APP / "Classifier.xcodeproj/project.pbxproj"
_TOKEN = re.compile(r'\s*(?:/\*.*?\*/\s*|//[^\n]*\s*)*("(?:[^"\\]|\\.)*"|[\w./$]+|[{}()=;,])', re.DOTALL)


def old_style_plist(text):
    """Reads the property list that Xcode writes: {key = value;}, (value,), words and strings."""
    tokens, at = [], 0
    while match := _TOKEN.match(text, at):
        tokens.append(match[1])
        at = match.end()
    assert text[at:].strip() == "", text[at : at + 80]
    tokens.reverse()

    def value():
        token = tokens.pop()
        if token == "{":
            found = {}
            while tokens[-1] != "}":
                key = value()
                assert key not in found, key
                assert tokens.pop() == "="
                found[key] = value()
                assert tokens.pop() == ";"
            tokens.pop()
            return found
        if token == "(":
            found = []
            while tokens[-1] != ")":
                found.append(value())
                assert tokens.pop() == ","
            tokens.pop()
            return found
        assert token not in "})=;,", token
        return json.loads(token) if token.startswith('"') else token

    whole = value()
    assert tokens == []
    return whole


@pytest.fixture(scope="module")
def project():
    return old_style_plist(PROJECT.read_text(encoding="utf-8"))


def _strings(node):
    if isinstance(node, dict):
        for key, entry in node.items():
            yield key
            yield from _strings(entry)
    elif isinstance(node, list):
        for entry in node:
            yield from _strings(entry)
    else:
        yield node


def test_the_reader_of_projects_sees_a_missing_semicolon():
    assert old_style_plist('{a = (b, "c d",); /* e */ f = {};}') == {"a": ["b", "c d"], "f": {}}
    with pytest.raises(AssertionError):
        old_style_plist("{a = b}")


def test_every_object_that_is_referred_to_exists_and_is_used(project):
    objects = project["objects"]
    used = set()
    for entry in [project["rootObject"], *objects.values()]:
        used |= {text for text in _strings(entry) if re.fullmatch(r"[0-9A-F]{24}", text)}
    assert used == set(objects)
    assert objects[project["rootObject"]]["isa"] == "PBXProject"


def test_every_path_exists_and_the_folder_belongs_to_the_app(project):
    objects = project["objects"]
    for entry in objects.values():
        if "path" in entry and entry["sourceTree"] == "<group>":
            assert (APP / entry["path"]).exists()
    [target] = [entry for entry in objects.values() if entry["isa"] == "PBXNativeTarget"]
    [folder] = [objects[key] for key in target["fileSystemSynchronizedGroups"]]
    # Xcode adds what lies in the folder, so a model that is put there is copied into the app.
    assert put_in_app.OWN["ios"].model == f"{folder['path']}/model.tflite"
    # Folders that Xcode follows are known since the format of Xcode 16, and to CocoaPods 1.16.
    assert (folder["isa"], project["objectVersion"]) == ("PBXFileSystemSynchronizedRootGroup", "77")


def test_settings_name_what_is_there(project):
    settings = [entry["buildSettings"] for entry in project["objects"].values() if "buildSettings" in entry]
    for entry in settings:
        if "INFOPLIST_FILE" in entry:
            assert (APP / entry["INFOPLIST_FILE"]).is_file()
            assets = APP / "Classifier/Assets.xcassets"
            assert (assets / f"{entry['ASSETCATALOG_COMPILER_APPICON_NAME']}.appiconset").is_dir()
            assert (assets / f"{entry['ASSETCATALOG_COMPILER_GLOBAL_ACCENT_COLOR_NAME']}.colorset").is_dir()
    versions = {entry["IPHONEOS_DEPLOYMENT_TARGET"] for entry in settings if "IPHONEOS_DEPLOYMENT_TARGET" in entry}
    assert versions == set(re.findall(r"platform :ios, '(.*)'", (APP / "Podfile").read_text()))


def test_the_podfile_names_the_target(project):
    [target] = [entry for entry in project["objects"].values() if entry["isa"] == "PBXNativeTarget"]
    podfile = (APP / "Podfile").read_text()
    assert f"target '{target['name']}' do" in podfile and "pod 'TensorFlowLiteSwift'" in podfile
    imported = {name for path in SOURCES for name in re.findall(r"^import (\w+)", path.read_text(), re.MULTILINE)}
    system = {"AVFoundation", "CoreGraphics", "CoreVideo", "CryptoKit", "Foundation", "PhotosUI", "SwiftUI", "UIKit"}
    assert imported == system | {"TensorFlowLite"}  # the pod's module


def test_the_camera_is_explained_and_nothing_is_collected():
    info = plistlib.loads((APP / "Info.plist").read_bytes())
    assert info["NSCameraUsageDescription"]
    assert not {key for key in info if key.endswith("UsageDescription")} - {"NSCameraUsageDescription"}
    privacy = plistlib.loads((APP / "Classifier/PrivacyInfo.xcprivacy").read_bytes())
    assert privacy["NSPrivacyTracking"] is False and privacy["NSPrivacyCollectedDataTypes"] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_swift_parses(path):
    assert syntax.errors("swift", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted(APP.rglob("*.json")), ids=lambda path: path.parent.name)
def test_asset_catalogs_are_json(path):
    assert json.loads(path.read_text())["info"]["version"] == 1


def test_the_app_looks_where_export_puts_the_model():
    text = (APP / "Classifier/ModelFile.swift").read_text()
    name, suffix = (re.search(rf'static let {key} = "(\w+)"', text)[1] for key in ("name", "type"))
    assert Path(put_in_app.OWN["ios"].model).name == f"{name}.{suffix}"


def test_nothing_of_a_model_is_written_down_in_the_app():
    text = "".join(path.read_text() for path in SOURCES)
    assert not re.search(r"\b(224|127(\.5)?|128|1000|1001)\b", text)


def test_both_apps_read_the_same_fields_of_the_metadata():
    """The Kotlin reader runs in tests; what Swift's differs in from it would go unseen."""
    kotlin = (APP.parent / "android_assets/app/src/main/kotlin/modelmaker/classifier/ModelFile.kt").read_text()
    swift = (APP / "Classifier/ModelFile.swift").read_text()
    field = re.compile(r"\.(byte|int|float|floats|table|tables|text|vector)\((\d+)\)")
    assert sorted(field.findall(kotlin)) == sorted(field.findall(swift))
    places = re.compile(r"(?:entry|end|local) ?[+-] ?(\d+)")
    assert set(places.findall(kotlin)) == set(places.findall(swift))
