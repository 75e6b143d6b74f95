"""Kotlin's compiler, from the jars in the folder that KOTLIN_JARS names, and declarations in place of Android's SDK."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

STUBS = Path(__file__).parent / "kotlin/stubs.txt"


def _jars():
    folder = Path(os.environ.get("KOTLIN_JARS", ""))
    found = [*folder.glob("*-all.jar"), *folder.glob("kotlin-stdlib-*.jar")] if folder.name else []
    if len(found) < 2:
        pytest.skip("no Kotlin compiler (KOTLIN_JARS names the folder with its jars)")
    if shutil.which("java") is None:
        pytest.skip("no java")
    return found


def stubs(folder):
    """Writes the declarations, one file for each package; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    _, *parts = re.split(r"^(?=package )", STUBS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    paths = [folder / f"{part.split()[1]}.kt" for part in parts]
    for path, part in zip(paths, parts, strict=True):
        path.write_text(part, encoding="utf-8")
    return paths


def compile_kotlin(sources, classes):
    """Compiles sources (Kotlin, and Java to look names up in) into a folder; returns the compiler's errors."""
    compiler, library = _jars()
    words = ["-no-stdlib", "-no-reflect", "-nowarn", "-cp", library, "-d", classes, *sources]
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
    command = ["java", "-cp", os.pathsep.join(map(str, (classes, library))), main, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
