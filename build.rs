//! Links the library as a Node addon.

fn main() {
    napi_build::setup();
    // The runtime's threads outlive the Node environment that loaded the addon first. If that was a worker, Node unloads
    // the library when the worker ends, and those threads would run unmapped code: keep it mapped.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
