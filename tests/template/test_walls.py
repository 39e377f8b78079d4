"""Owns the walls between crates and between files: what decides has no AWS client, no function needs another, and no files of a crate import
each other in a circle."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import imports
import pytest

CORE, AWS = "emite-core", "emite-aws"
# What talks to AWS or to anybody else, by the beginning of the crate's name.
OUTSIDE = ("aws-config", "aws-runtime", "aws-sdk-", "aws-sig", "aws-smithy", "hyper", "tokio")


def _cargo(*arguments: str) -> str:
    command = ["cargo", *arguments, "--locked", "--offline"]
    ran = subprocess.run(command, cwd=imports.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ran.returncode == 0, f"{' '.join(command)} failed:\n{ran.stderr}"
    return ran.stdout


def _tree(package: str) -> str:
    return _cargo("tree", "-p", package, "-e", "normal", "--prefix", "none")


def _outside(tree: str) -> list[str]:
    names = {line.split()[0] for line in tree.splitlines() if line.strip()}
    return sorted(name for name in names if name.startswith(OUTSIDE))


@pytest.fixture(scope="module")
def packages():
    return json.loads(_cargo("metadata", "--no-deps", "--format-version", "1"))["packages"]


def test_what_decides_has_no_aws_client_and_no_runtime():
    tree = _tree(CORE)
    assert tree.startswith(f"{CORE} v")
    assert _outside(tree) == []


def test_an_aws_client_is_noticed_in_a_real_tree():
    assert {"aws-runtime", "aws-sdk-connect", "aws-smithy-types", "hyper", "tokio"} <= set(_outside(_tree(AWS)))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("aws-sdk-connect v1.220.0", "aws-sdk-connect"),
        ("aws-smithy-types v1.9.3 (*)", "aws-smithy-types"),
        ("aws-config v1.13.0", "aws-config"),
        ("aws-sigv4 v1.6.4", "aws-sigv4"),
        ("aws-runtime v1.7.0", "aws-runtime"),
        ("tokio v1.54.1", "tokio"),
        ("tokio-macros v2.7.2 (proc-macro)", "tokio-macros"),
        ("hyper-util v0.1.21", "hyper-util"),
    ],
)
def test_each_crate_that_talks_is_noticed(line, name):
    assert _outside(f"emite-core v0.1.0 (/x/shared/core)\nserde v1.0.0\n{line}\nserde v1.0.0 (*)\n") == [name]


def test_crates_that_compute_are_let_through():
    assert _outside("emite-core v0.1.0 (/x/shared/core)\naws-lc-rs v1.19.0\njiff v0.2.46\nserde v1.0.0 (*)\n") == []


def _between(packages: list[dict], root: Path) -> list[str]:
    """Which function needs which other, to run or for its tests."""
    functions = {Path(package["manifest_path"]).parent: package for package in packages}
    functions = {path: package for path, package in functions.items() if path.parent == root / "functions"}
    return [
        f"{package['name']} needs {dependency['name']}"
        for package in functions.values()
        for dependency in package["dependencies"]
        if Path(dependency.get("path") or "/") in functions
    ]


def test_no_function_needs_another(packages):
    assert sum("functions" in Path(package["manifest_path"]).parts for package in packages) > 3
    assert _between(packages, imports.ROOT) == []


@pytest.mark.parametrize("kind", [None, "dev", "build"])
def test_a_function_that_needs_another_is_noticed(kind):
    def package(path, *needed):
        dependencies = [{"name": Path(other).name, "path": f"/x/{other}", "kind": kind} for other in needed]
        dependencies.append({"name": "serde", "kind": None})
        return {"name": Path(path).name, "manifest_path": f"/x/{path}/Cargo.toml", "dependencies": dependencies}

    packages = [
        package("shared/core"),
        package("functions/redrive", "shared/core"),
        package("functions/repair", "shared/core", "functions/redrive"),
        package("tests", "functions/redrive"),
    ]
    assert _between(packages, Path("/x")) == ["repair needs redrive"]


def test_each_target_of_the_workspace_is_read(packages):
    assert {Path(target["src_path"]) for package in packages for target in package["targets"]} == set(imports.crates())


@pytest.mark.parametrize("crate", imports.crates(), ids=lambda path: str(path.relative_to(imports.ROOT)))
def test_no_files_of_a_crate_import_each_other_in_a_circle(crate):
    found = imports.circles(imports.imports(crate))
    if found:
        pytest.fail("\n".join(imports.described(circle, most=1) for circle in found), pytrace=False)


# The reader of imports, by small crates.


def _written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "lib.rs"


def _edges(root: Path, files: dict[str, str]) -> set[str]:
    found = imports.imports(_written(root, files))
    return {f"{one.source.relative_to(root)}:{one.line} {one.target.relative_to(root)}" for one in found}


def _circles(root: Path, files: dict[str, str]) -> list[set[str]]:
    return [{str(file.relative_to(root)) for file in circle} for circle in imports.circles(imports.imports(_written(root, files)))]


THREE = "mod a;\nmod b;\nmod c;\n"

# The text of `a.rs`, and the lines of it that import another file, with that file. `b` has a child `d`.
READS = [
    ("a use", "use crate::b::Item;", ["1 b.rs"]),
    ("a use of a module", "use crate::b;", ["1 b.rs"]),
    ("a use of an item of the root", "use crate::Item;", ["1 lib.rs"]),
    ("nested groups", "use crate::{\n    b::{self, d::{Deep, Deeper}},\n    c::Item as Other,\n};", ["2 b.rs", "2 b/d.rs", "3 c.rs"]),
    ("a group with globs", "use crate::{b::d::*, c::*};", ["1 b/d.rs", "1 c.rs"]),
    ("super", "use super::c::Item;", ["1 c.rs"]),
    ("super of super", "mod inner {\n    use super::super::c::Item;\n}", ["2 c.rs"]),
    ("self of an inline module", "mod inner {\n    pub fn f() {}\n}\nfn g() { self::inner::f() }", []),
    ("a glob of the parent", "use super::*;", ["1 lib.rs"]),
    ("a path in code", "fn f() -> crate::b::Item {\n    crate::c::make::<u8>()\n}", ["1 b.rs", "2 c.rs"]),
    ("a path in angle brackets", "fn f() { <crate::b::Item as Default>::default(); }", ["1 b.rs"]),
    ("a path in a macro", "macro_rules! m { () => { $crate::b::f() } }", ["1 b.rs"]),
    ("a path in an attribute", '#[serde(with = "crate::b")]\nstruct X;', ["1 b.rs"]),
    ("a path by a module that is imported", "use crate::b;\nfn f() { b::d::g() }", ["1 b.rs", "2 b/d.rs"]),
    ("a path by another name", "use crate::b as other;\nfn f() { other::d::g() }", ["1 b.rs", "2 b/d.rs"]),
    ("an item is reported once", "use crate::b::Item;\nfn f() { Item::new() }", ["1 b.rs"]),
    ("a use in a function", "fn f() {\n    use crate::c::Kind::*;\n}", ["2 c.rs"]),
    ("a restricted item", "pub(in crate::b) struct X;\npub(crate) use crate::c::Y;", ["2 c.rs"]),
    ("not in unit tests", "#[cfg(not(test))]\nuse crate::b::Item;", ["2 b.rs"]),
    ("other crates", "use serde::Serialize;\nuse ::b::Item;\nuse ::{b::Item as X, c};\nfn f() { ::c::g(); std::mem::drop(1) }", []),
    ("comments", "//! crate::b::x\n/// [`crate::b`]\n// use crate::b;\n/* use crate::b; /* crate::c::x */ crate::b::x */", []),
    ("strings", 'const A: &str = "crate::b::x \\" crate::b::x";\nconst B: &str = r#"" crate::b::x"#;\nconst C: &[u8] = b"crate::b::x";', []),
    ("characters and lifetimes", "fn f<'a>(x: &'a str) -> bool { x.contains('\"') || x.contains('\\'') }\nuse crate::b::Item;\n// '\"'", ["2 b.rs"]),
    ("a module of tests", "#[cfg(test)]\nmod tests {\n    use crate::b::Item;\n    fn f() { { crate::c::g() } }\n}\nuse crate::c;", ["6 c.rs"]),
    ("a file of tests", "#[cfg(test)]\nmod tests;", []),
    ("a use of tests", "#[cfg(test)]\nuse crate::b::{Item, d::{X}};\nuse crate::c;", ["3 c.rs"]),
    ("a function of tests", "#[cfg(test)]\n#[allow(x)]\npub(crate) fn f(x: [u8; 2], y: u8) -> u8 { crate::b::g() }\nuse crate::c;", ["4 c.rs"]),
    ("a constant of tests", "#[cfg(test)]\nconst X: [u8; 2] = { crate::b::g() };\nuse crate::c;", ["3 c.rs"]),
    ("a field of tests", "struct X {\n    #[cfg(test)]\n    x: crate::b::Y,\n    y: crate::c::Y,\n}", ["4 c.rs"]),
    ("an arm of tests", "fn f() { match x {\n    #[cfg(test)]\n    1 => { crate::b::f() }\n    _ => crate::c::f(),\n} }", ["4 c.rs"]),
    ("tests of one system", '#[cfg(all(test, target_os = "linux"))]\nuse crate::b;', []),
    ("tests or one system", '#[cfg(any(test, target_os = "linux"))]\nuse crate::b;', ["2 b.rs"]),
    ("all of a file is for tests", "#![cfg(test)]\nuse crate::b;", []),
]


@pytest.mark.parametrize(("text", "expected"), [(text, expected) for _, text, expected in READS], ids=[name for name, _, _ in READS])
def test_the_imports_of_a_file_are_read(text, expected, tmp_path):
    files = {"lib.rs": THREE, "a.rs": text, "a/tests.rs": "mod below; use crate::b;", "b.rs": "pub mod d;", "b/d.rs": "", "c.rs": ""}
    assert _edges(tmp_path, files) == {f"a.rs:{one}" for one in expected}


def test_a_circle_is_found_and_described_with_a_line_of_each_file(tmp_path):
    files = {"lib.rs": THREE, "a.rs": "\nuse crate::b::B;\nuse crate::c::C;", "b.rs": "fn f() { super::c::g() }", "c.rs": "use crate::{a::A};"}
    [circle] = imports.circles(imports.imports(_written(tmp_path, files)))
    assert imports.described(circle, tmp_path, most=1).splitlines() == [
        "A circle of 3 files:",
        "  a.rs",
        "    imports b.rs: crate::b::B (line 2)",
        "  b.rs",
        "    imports c.rs: super::c::g (line 1)",
        "  c.rs",
        "    imports a.rs: crate::a::A (line 1)",
    ]
    assert "    imports c.rs: crate::c::C (line 3)" in imports.described(circle, tmp_path).splitlines()


def test_two_circles_are_told_apart_and_the_larger_comes_first(tmp_path):
    ring = {"a.rs": "use crate::b::X; use crate::d::X;", "b.rs": "use crate::a::X;"}
    other = {"c.rs": "use crate::d::X;", "d.rs": "use crate::e::X;", "e.rs": "use crate::c::X;"}
    files = {"lib.rs": THREE + "mod d;\nmod e;", **ring, **other}
    assert _circles(tmp_path, files) == [{"c.rs", "d.rs", "e.rs"}, {"a.rs", "b.rs"}]


@pytest.mark.parametrize(
    "back", ["#[cfg(test)]\nuse crate::a::A;", "#[cfg(test)]\nmod tests { use crate::a::A; }", "// use crate::a::A;", 'const X: &str = "crate::a::A";']
)
def test_what_is_not_compiled_closes_no_circle(back, tmp_path):
    assert _circles(tmp_path, {"lib.rs": THREE, "a.rs": "use crate::b::B;", "b.rs": back, "c.rs": ""}) == []


def test_declaring_a_module_is_no_import_and_calling_it_is(tmp_path):
    files = {"lib.rs": "mod a;", "a.rs": "mod b;", "a/b.rs": "use super::A;"}
    assert _circles(tmp_path, files) == []
    assert _circles(tmp_path, files | {"a.rs": "mod b;\nfn f() { b::g() }"}) == [{"a.rs", "a/b.rs"}]


def test_modules_are_found_in_either_place(tmp_path):
    files = {"lib.rs": "mod a;\nmod b;", "a/mod.rs": "mod c;\nmod inline { mod d; }", "a/c.rs": "use crate::b::B;", "a/inline/d.rs": "use super::super::c::C;", "b.rs": ""}
    assert _edges(tmp_path, files) == {"a/c.rs:1 b.rs", "a/inline/d.rs:1 a/c.rs"}
    with pytest.raises(FileNotFoundError, match="line 2: the file of the module missing"):
        imports.imports(_written(tmp_path, {"lib.rs": "\nmod missing;"}))


@pytest.mark.parametrize(
    ("shares", "named"),
    [
        ("pub use b::Item;", "crate::a::Item"),
        ("pub(crate) use b::{Item, Other};", "crate::a::Item"),
        ("pub(super) use self::b::Item as Renamed;", "crate::a::Renamed"),
        ("pub use b::*;", "crate::a::Item"),
        ("pub use b as shown;", "crate::a::shown::Item"),
        ("use b::Item as Inner;\npub use Inner as Shown;", "crate::a::Shown"),
    ],
)
def test_a_re_export_is_followed_to_the_file_that_defines(shares, named, tmp_path):
    files = {"lib.rs": "mod a;\nmod c;", "a.rs": f"mod b;\nmod d;\n{shares}", "a/b.rs": "pub struct Item;", "a/d.rs": "", "c.rs": f"use {named};"}
    assert "c.rs:1 a/b.rs" in _edges(tmp_path, files)
    assert "c.rs:1 a.rs" not in _edges(tmp_path, files)
    # Siblings make no circle by what their parent shares.
    assert _circles(tmp_path, files | {"a/d.rs": f"use {named};", "a.rs": f"mod b;\nmod d;\n{shares}\nfn f() {{ d::g() }}"}) == []


def test_a_private_import_of_another_file_is_not_followed(tmp_path):
    files = {"lib.rs": "mod a;\nmod c;", "a.rs": "mod b;\nuse crate::c::C;", "a/b.rs": "use super::C;", "c.rs": ""}
    assert _edges(tmp_path, files) == {"a.rs:2 c.rs", "a/b.rs:1 a.rs"}


def test_what_another_crate_defines_counts_for_the_file_that_shares_it(tmp_path):
    files = {"lib.rs": "mod a;\nmod c;", "a.rs": "pub use serde::Serialize;", "c.rs": "use crate::a::Serialize;"}
    assert _edges(tmp_path, files) == {"c.rs:1 a.rs"}


def test_names_that_lead_back_to_themselves_end(tmp_path):
    files = {"lib.rs": "mod a;\nmod c;", "a.rs": "pub use crate::c::X;\npub use crate::c::*;", "c.rs": "pub use crate::a::X;\npub use crate::a::*;"}
    assert _circles(tmp_path, files) == [{"a.rs", "c.rs"}]
