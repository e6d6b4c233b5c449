//! Finds the system's libhs through pkg-config and generates declarations
//! for exactly those of its functions that this crate calls.

use std::env;
use std::path::PathBuf;

/// The functions called by this crate; nothing else of the header is generated.
/// `free` belongs to them because Hyperscan hands out memory made by `malloc`.
const FUNCTIONS: &str = "hs_(compile_ext_multi|free_compile_error|free_database|database_size\
                         |serialize_database|deserialize_database|alloc_scratch|clone_scratch\
                         |scratch_size|free_scratch|scan|set_database_allocator|version|valid_platform)|free";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let library = pkg_config::Config::new()
        .atleast_version("5.4")
        .probe("libhs")
        .expect("libhs 5.4 is found through pkg-config (Debian: libhyperscan-dev)");
    let bindings = bindgen::Builder::default()
        .header_contents("pollux-hs.h", "#include <hs.h>\n")
        .clang_args(library.include_paths.iter().map(|path| format!("-I{}", path.display())))
        .allowlist_function(FUNCTIONS)
        .allowlist_type("hs_expr_ext")
        .allowlist_var(
            "HS_(SUCCESS|INVALID|NOMEM|SCAN_TERMINATED|COMPILER_ERROR|DB_VERSION_ERROR\
                        |DB_PLATFORM_ERROR|BAD_ALIGN|BAD_ALLOC|ARCH_ERROR)",
        )
        .allowlist_var("HS_FLAG_(CASELESS|DOTALL|MULTILINE|SINGLEMATCH|ALLOWEMPTY|PREFILTER)")
        .allowlist_var("HS_EXT_FLAG_(MIN|MAX)_OFFSET")
        .allowlist_var("HS_MODE_BLOCK")
        .generate_comments(false)
        .merge_extern_blocks(true)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .generate()
        .expect("declarations can be generated from hs.h");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("hs.rs")).expect("OUT_DIR can be written");
}
