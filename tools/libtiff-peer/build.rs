//! Links libtiff: the Debian package libtiff-dev.

fn main() {
    println!("cargo:rustc-link-lib=tiff");
    println!("cargo:rerun-if-changed=build.rs");
}
