//! What all formats have to say alike.

use super::render;
use crate::bench::args::Format;
use crate::bench::figures::{Results, Run};
use crate::bench::host::Device;
use crate::bench::made_up;

/// The backend `iaa` on devices that software stands in for.
fn on_virtual_devices(ns: f64) -> Run {
    let mut run = made_up::run("model", 8, ns);
    run.backend = "iaa";
    run
}

/// Without what names of other lengths do to columns.
fn words(shown: &str) -> String {
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// In every format, `iaa` on a virtual device is labelled to the letter as `model` is.
#[test]
fn a_virtual_device_is_labelled_as_the_model() {
    let beside = |device: Run| made_up::results(vec![made_up::run("lz4", 8, 1000.0), device]);
    for format in [Format::Text, Format::Json, Format::Csv, Format::Html] {
        let model = render(format, &beside(made_up::run("model", 8, 700.0)));
        let virtual_device = render(format, &beside(on_virtual_devices(700.0)));
        let hardware = render(format, &beside(made_up::run("iaa", 8, 700.0)));
        assert!(virtual_device.contains("iaa"), "{virtual_device}");
        assert!(virtual_device.contains("modelled"), "{virtual_device}");
        // Only the backend is called otherwise.
        let renamed = |shown: &str| {
            let shown = words(shown).replace("model:fixed", "iaa:fixed");
            shown
                .replace("\"model\"", "\"iaa\"")
                .replace(" model,deflate", " iaa,deflate")
        };
        let plain = |shown: &str| without_rules(&renamed(shown));
        assert!(plain(&virtual_device) == plain(&model), "{virtual_device}");
        assert!(plain(&virtual_device) != plain(&hardware), "{hardware}");
    }
}

/// Lines under headings are as long as what is in the column.
fn without_rules(shown: &str) -> String {
    shown.replace(['-', '\u{2500}'], "")
}

#[test]
fn devices_of_the_host_that_are_none_are_called_so() {
    let mut results: Results = made_up::results(vec![made_up::run("lz4", 8, 1000.0)]);
    let device = |name: &str, modelled| Device {
        name: name.to_owned(),
        modelled,
        engines: 8,
        queues: Vec::new(),
    };
    let told = |results: &Results| words(&render(Format::Text, results));
    results.host.devices = vec![device("iax1", false)];
    assert!(told(&results).contains("1 IAA device with 8 engines"));
    results.host.devices = vec![device("iax1", true)];
    assert!(told(&results).contains("1 IAA device (modelled) with 8 engines"));
    results.host.devices.push(device("iax3", false));
    assert!(told(&results).contains("2 IAA devices (1 modelled) with 16 engines"));
    let json: serde_json::Value = serde_json::from_str(&render(Format::Json, &results)).unwrap();
    assert_eq!(json["host"]["devices"][0]["modelled"], true);
    assert_eq!(json["host"]["devices"][1]["modelled"], false);
}
