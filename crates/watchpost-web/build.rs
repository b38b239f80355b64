//! Puts the built dashboard into the binary; without one, a page that says how to build it.
//!
//! What lies in `assets/` has a hash in its name and may be kept for ever; other files may not. The page itself is kept
//! apart, because its `<base>` is written when it is served.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const DIST: &str = "../../dashboard/dist";
const PAGE: &str = "index.html";

const NOT_BUILT: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <base href="/" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Watchpost</title>
  </head>
  <body>
    <h1>Watchpost is running</h1>
    <p>This binary was built without the dashboard. <code>make build</code> builds both.</p>
    <p>The same facts are at <a href="api/v1/overview">api/v1/overview</a> and <a href="metrics">metrics</a>.</p>
  </body>
</html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let dist = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join(DIST);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DIST}");
    let (hashed, plain) = (out.join("hashed"), out.join("plain"));
    for folder in [&hashed, &plain] {
        match fs::remove_dir_all(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            Ok(()) | Err(_) => fs::create_dir_all(folder)?,
        }
    }
    if dist.join(PAGE).is_file() {
        fs::copy(dist.join(PAGE), out.join(PAGE))?;
        for entry in fs::read_dir(&dist)? {
            let entry = entry?;
            let name = entry.file_name();
            match (name.to_str(), entry.file_type()?.is_dir()) {
                (Some(PAGE), _) => {}
                (Some("assets"), true) => copy_folder(&entry.path(), &hashed.join("assets"))?,
                (_, true) => copy_folder(&entry.path(), &plain.join(name))?,
                (_, false) => drop(fs::copy(entry.path(), plain.join(name))?),
            }
        }
    } else {
        fs::write(out.join(PAGE), NOT_BUILT)?;
    }
    for (folder, code) in [(&hashed, "hashed.rs"), (&plain, "plain.rs")] {
        let assets = memory_serve::assets_to_code(code, folder, &out, true, |_| {});
        fs::write(out.join(code), assets)?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
