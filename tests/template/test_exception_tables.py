"""The wrapper of rustc that lets the linker drop exception tables, with rustc and its own linker."""

import platform
import subprocess
import sys

import pytest
from package import build, exception_tables, template

TARGET = "x86_64-unknown-linux-gnu"
DEAD = 500
LIBRARY = """
pub struct Guard;
impl Drop for Guard {
    fn drop(&mut self) { println!("cleaned up"); }
}
pub fn used(number: usize) {
    let _guard = Guard;
    assert!(number == 0, "on purpose");
}
""" + "".join(f"""
#[inline(never)]
pub fn dead_{number}(work: &dyn Fn(usize)) {{
    let _guard = Guard;
    work({number});
}}
""" for number in range(DEAD))
PROGRAM = """
fn main() {
    println!("{}", std::panic::catch_unwind(|| library::used(std::env::args().count())).is_err());
}
"""


@pytest.fixture(name="sources")
def written(tmp_path):
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("Only lld keeps these tables, and it is rustc's own linker on Linux for x86_64 only.")
    (tmp_path / "library.rs").write_text(LIBRARY, encoding="utf-8")
    (tmp_path / "program.rs").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def compiled(sources, place, *wrapper):
    command = [*wrapper, "rustc", "--crate-name", "library", "--crate-type", "lib", "--emit=dep-info,metadata,link", "--target", TARGET,
               "-C", "opt-level=z", "-C", "extra-filename=-1a", "--out-dir", str(place), str(sources / "library.rs")]
    # Where rust-toolchain.toml names the version.
    return subprocess.run(command, cwd=template.ROOT, check=False, capture_output=True, text=True)


def program(sources, name, *wrapper):
    """The program, linked with the library that was compiled by this wrapper."""
    place = sources / name
    place.mkdir()
    assert compiled(sources, place, *wrapper).returncode == 0
    binary = place / "program"
    subprocess.run(["rustc", "--target", TARGET, "-C", "opt-level=z", "-C", "strip=symbols", "--extern", f"library={place / 'liblibrary-1a.rlib'}",
                    "-o", str(binary), str(sources / "program.rs")], cwd=template.ROOT, check=True)
    return binary


def test_tables_of_dropped_functions_are_dropped_and_a_panic_still_cleans_up(sources):
    plain = program(sources, "plain")
    linked = program(sources, "linked", sys.executable, exception_tables.__file__)
    # Each has at least its header and one call that may panic.
    assert plain.stat().st_size - linked.stat().st_size > DEAD * 8
    sizes = [exception_tables.tables_bytes(binary.read_bytes()) for binary in (plain, linked)]
    assert sizes[0] - sizes[1] > DEAD * 8
    ran = subprocess.run([str(linked)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["cleaned up", "true"]


def test_a_program_with_tables_of_functions_that_are_not_in_it_is_refused(sources, monkeypatch):
    binary = program(sources, "plain")
    longest = exception_tables.tables_bytes(binary.read_bytes())
    # It is linked with whatever glibc this machine has.
    monkeypatch.setattr(build, "NEWEST_GLIBC", (9, 9))
    monkeypatch.setattr(build, "_LONGEST_TABLES", longest)
    assert build.code(binary, "x86_64") == binary.read_bytes()
    monkeypatch.setattr(build, "_LONGEST_TABLES", longest - 1)
    with pytest.raises(build.Unusable, match=r"built without exception_tables\.py.*cargo clean"):
        build.code(binary, "x86_64")


def test_a_failure_of_rustc_is_passed_on(sources):
    (sources / "library.rs").write_text("fn", encoding="utf-8")
    plain, wrapped = compiled(sources, sources), compiled(sources, sources, sys.executable, exception_tables.__file__)
    assert (wrapped.returncode, wrapped.stderr) == (plain.returncode, plain.stderr)
    assert plain.returncode == 1


@pytest.mark.parametrize("arguments", [
    ["rustc", "-vV"],
    ["rustc", "--crate-name", "a", "--crate-type", "bin", "--emit=dep-info,link", "--out-dir", "/o", "--target", TARGET, "a.rs"],
    ["rustc", "--crate-name", "a", "--crate-type", "proc-macro", "--emit=dep-info,link", "--out-dir", "/o", "a.rs"],
    ["rustc", "--crate-name", "a", "--crate-type", "lib", "--emit=dep-info,metadata", "--out-dir", "/o", "--target", TARGET, "a.rs"],
    # Of a build script.
    ["rustc", "--crate-name", "a", "--crate-type", "lib", "--emit=dep-info,link", "--out-dir", "/o", "a.rs"],
])
def test_only_libraries_for_aws_lambda_are_looked_at(arguments):
    assert exception_tables.written(arguments) is None
    library = ["rustc", "--crate-name", "a", "--crate-type", "lib", "--emit=dep-info,link", "--out-dir", "/o", "--target", TARGET, "a.rs"]
    assert str(exception_tables.written(library)) == "/o/liba.rlib"
