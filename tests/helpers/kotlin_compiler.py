"""Kotlin's compiler, from the jars in the folder that KOTLIN_JARS names, and declarations in place of Android's SDK."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from model_maker.system import locks

STUBS = Path(__file__).parent / "kotlin/stubs.txt"
FAKE = Path(__file__).parent / "kotlin/Fake.kt"


def _jars():
    folder = Path(os.environ.get("KOTLIN_JARS", ""))
    found = [*folder.glob("*-all.jar"), *folder.glob("kotlin-stdlib-*.jar")] if folder.name else []
    if len(found) < 2:
        pytest.skip("no Kotlin compiler (KOTLIN_JARS names the folder with its jars)")
    if shutil.which("java") is None:
        pytest.skip("no java")
    return found


def _declared():
    """Declarations and what plays the libraries, compiled once for all tests; returns the folder of classes."""
    compiler, _ = _jars()
    key = hashlib.sha256(compiler.name.encode() + STUBS.read_bytes() + FAKE.read_bytes()).hexdigest()[:16]
    folder = Path(os.environ["MODEL_MAKER_CACHE"]) / f"kotlin_declarations_{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locks.locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                text, classes = STUBS.read_text(encoding="utf-8"), Path(temporary) / "classes"
                paths = [FAKE]
                for part in re.split(r"^(?=package )", text, flags=re.MULTILINE)[1:]:  # one file for each package
                    paths.append(Path(temporary) / f"{part.split()[1]}.kt")
                    paths[-1].write_text(part, encoding="utf-8")
                assert _compile(paths, classes) == []
                classes.rename(folder)
    return folder


def compile_kotlin(sources, classes):
    """Compiles sources (Kotlin, and Java to look names up in) into a folder; returns the compiler's errors."""
    return _compile(sources, classes, _declared())


def _compile(sources, classes, *libraries):
    compiler, library = _jars()
    path = os.pathsep.join(map(str, (library, *libraries)))
    words = ["-no-stdlib", "-no-reflect", "-nowarn", "-cp", path, "-d", classes, *sources]
    # The first of Java's two compilers alone is quicker for a run of some seconds, and so is one thread that collects
    # garbage. The first run leaves the compiler's classes as they are in memory, for the next ones to map.
    loaded = Path(os.environ["MODEL_MAKER_CACHE"]) / "kotlin_compiler.jsa"
    own = loaded.with_name(f"{os.getpid()}.jsa")
    share = f"-XX:SharedArchiveFile={loaded}" if loaded.is_file() else f"-XX:ArchiveClassesAtExit={own}"
    java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", share, "-cp", compiler]
    command = [*java, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if own.is_file():
        own.replace(loaded)
    return [line for line in done.stderr.splitlines() if "error:" in line] if done.returncode else []


def run_kotlin(classes, main, *arguments):
    """Runs a main function; returns what it printed."""
    _, library = _jars()
    path = os.pathsep.join(map(str, (classes, library, _declared())))
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", path, main, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
