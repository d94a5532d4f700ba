//! The status page in a real browser, at the width of a desk and of a telephone. Skipped, with the reason, where there is no
//! Chromium. With `P2C2R_PICTURES=FOLDER` the pictures are kept there, to be looked at.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::Folder;
use crate::page::login;
use crate::pay::earned_and_paid;
use crate::town::Town;

/// Names of Chromium's program.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Widths of a desk's and of a telephone's screen, and heights that hold the whole page, in pixels.
const SIZES: [(u32, u32); 2] = [(1280, 2_000), (390, 4_000)];
/// Least bytes of a picture of the page; one of an empty page takes some 10 KB.
const BYTES_OF_A_PAGE: usize = 20_000;

fn chromium() -> Option<&'static str> {
    NAMES.into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    })
}

/// Takes a picture; returns what the browser complained of.
fn picture(browser: &str, (width, height): (u32, u32), address: &str, to: &Path, profile: &Path) -> String {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"])
        // The coordinator has signed its certificate itself, and a test cannot make the browser pin its key.
        .arg("--ignore-certificate-errors")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", to.display()))
        .arg(address)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Width and height of a PNG, from its header.
fn size(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "a PNG");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn the_page_is_drawn_at_desk_and_telephone_width_by_a_real_browser() {
    let Some(browser) = chromium() else {
        println!("skipped: none of {NAMES:?} is installed");
        return;
    };
    for (width, height) in SIZES {
        let folder = Folder::new();
        earned_and_paid(&folder);
        let mut town = Town::open(&folder);
        let _worker = town.joined(&folder, "a helper with quite a long name");
        let place = town.service.link().hosts[0].clone();
        let (secret, to) = (login(&folder, &[]), folder.root.path().join(format!("{width}.png")));
        let profile = folder.root.path().join(format!("profile-{width}"));
        let address = format!("https://{place}/login/{secret}");
        let said = town.while_it_runs(|| picture(browser, (width, height), &address, &to, &profile));
        let png = std::fs::read(&to).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(size(&png), (width, height));
        if let Some(kept) = std::env::var_os("P2C2R_PICTURES") {
            std::fs::copy(&to, Path::new(&kept).join(format!("page-{width}.png"))).unwrap();
        }
        assert!(png.len() > BYTES_OF_A_PAGE, "{} bytes at {width}: {said}", png.len());
        assert!(!said.contains("Content Security Policy"), "the page keeps its own policy: {said}");
    }
}
