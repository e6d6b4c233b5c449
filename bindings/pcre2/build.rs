//! Finds the system's 8-bit libpcre2 through pkg-config and generates declarations
//! for exactly those of its functions that this crate calls.

use std::env;
use std::path::PathBuf;

/// The functions called by this crate; nothing else of the header is generated.
const FUNCTIONS: &str = "pcre2_(compile|code_free|pattern_info|jit_compile|match|get_error_message\
                         |compile_context_create|compile_context_free|set_newline\
                         |set_parens_nest_limit|match_context_create|match_context_free\
                         |set_match_limit|set_depth_limit|set_heap_limit|match_data_create\
                         |match_data_free|get_ovector_pointer|get_ovector_count\
                         |jit_stack_create|jit_stack_assign|jit_stack_free)_8";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let library = pkg_config::Config::new()
        .atleast_version("10.40")
        .probe("libpcre2-8")
        .expect("libpcre2-8 10.40 is found through pkg-config (Debian: libpcre2-dev)");
    let bindings = bindgen::Builder::default()
        .header_contents("pollux-pcre2.h", "#define PCRE2_CODE_UNIT_WIDTH 8\n#include <pcre2.h>\n")
        .clang_args(library.include_paths.iter().map(|path| format!("-I{}", path.display())))
        .allowlist_function(FUNCTIONS)
        .allowlist_var(
            "PCRE2_(CASELESS|DOTALL|MULTILINE|ANCHORED|DOLLAR_ENDONLY|EXTENDED|UNGREEDY\
             |NEVER_UTF|NEVER_UCP|NOTEMPTY_ATSTART|NEWLINE_LF|JIT_COMPLETE)",
        )
        .allowlist_var(
            "PCRE2_INFO_(CAPTURECOUNT|NAMECOUNT|NAMEENTRYSIZE|NAMETABLE|SIZE|JITSIZE\
             |MAXLOOKBEHIND|MINLENGTH)",
        )
        .allowlist_var(
            "PCRE2_ERROR_(NOMATCH|BADOFFSET|MATCHLIMIT|DEPTHLIMIT|HEAPLIMIT|JIT_STACKLIMIT\
             |NOMEMORY)",
        )
        .generate_comments(false)
        .merge_extern_blocks(true)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .generate()
        .expect("declarations can be generated from pcre2.h");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("pcre2.rs")).expect("OUT_DIR can be written");
}
