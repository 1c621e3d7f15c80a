//! The Kubernetes manifests: valid, consistent with each other, and within the restricted security standard.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::python;
use super::tools::output;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kubernetes");
pub(super) const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Prints each YAML file that it is given as JSON.
const TO_JSON: &str = "import json, sys, yaml
print(json.dumps([yaml.safe_load(open(name)) for name in sys.argv[1:]]))";

/// Names of the files, but for those that only kustomize and the program read.
fn names() -> Vec<String> {
    let entries = fs::read_dir(FOLDER).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| Path::new(name).extension().is_some_and(|it| it == "yaml"))
        .filter(|name| name != "kustomization.yaml")
        .collect();
    names.sort();
    names
}

fn json(names: &[String]) -> Vec<Value> {
    let python = python::installed("kubernetes-validate", REQUIREMENTS);
    let mut command = python::run(python, TO_JSON);
    let output = output(command.args(names).current_dir(FOLDER)).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn manifests() -> BTreeMap<String, Value> {
    let each = json(&names()).into_iter();
    each.map(|manifest| (manifest["kind"].as_str().unwrap().to_owned(), manifest))
        .collect()
}

#[test]
fn the_manifests_are_valid_to_the_last_field() {
    let python = python::installed("kubernetes-validate", REQUIREMENTS);
    let mut validate = Command::new(python);
    validate
        .args(["-I", "-m", "kubernetes_validate", "--strict", "--quiet"])
        .args(names());
    output(validate.current_dir(FOLDER)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn kustomize_applies_every_manifest_and_makes_what_they_name() {
    let kustomization = &json(&["kustomization.yaml".to_owned()])[0];
    let mut resources: Vec<String> = serde_json::from_value(kustomization["resources"].clone()).unwrap();
    resources.sort();
    assert_eq!(resources, names());

    let manifests = manifests();
    let pod = &manifests["StatefulSet"]["spec"]["template"]["spec"];
    assert_eq!(
        kustomization["configMapGenerator"][0]["name"],
        pod["volumes"][0]["configMap"]["name"]
    );
    assert_eq!(kustomization["images"][0]["name"], pod["containers"][0]["image"]);
    assert_eq!(kustomization["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        kustomization["namespace"],
        manifests["Namespace"]["metadata"]["name"]
    );
    assert_eq!(
        pod["serviceAccountName"],
        manifests["ServiceAccount"]["metadata"]["name"]
    );
    assert_eq!(
        manifests["StatefulSet"]["spec"]["serviceName"],
        manifests["Service"]["metadata"]["name"]
    );
}

#[test]
fn one_selector_finds_the_pod() {
    let manifests = manifests();
    let set = &manifests["StatefulSet"]["spec"];
    let labels = &set["template"]["metadata"]["labels"];
    assert!(labels.is_object());
    assert_eq!(&set["selector"]["matchLabels"], labels);
    assert_eq!(&manifests["Service"]["spec"]["selector"], labels);
    assert_eq!(
        &manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        labels
    );
}

#[test]
fn the_pod_keeps_the_restricted_standard_and_has_no_token() {
    let manifests = manifests();
    assert_eq!(manifests["ServiceAccount"]["automountServiceAccountToken"], false);
    let set = &manifests["StatefulSet"]["spec"];
    assert_eq!(set["replicas"], 1);
    let pod = &set["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod.get(host).is_none(), "{host}");
    }
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    let expected = serde_json::json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], expected);
    let level = &manifests["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(level, "restricted");
}

#[test]
fn the_probes_and_the_service_ask_where_the_configuration_listens() {
    let config = fs::read_to_string(Path::new(FOLDER).join("config.toml")).unwrap();
    assert!(config.contains("listen = \"0.0.0.0:9464\""));
    let manifests = manifests();
    let container = &manifests["StatefulSet"]["spec"]["template"]["spec"]["containers"][0];
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], 9464);
    for (probe, path) in [
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(asked["path"], path, "{probe}");
        assert_eq!(asked["port"], port["name"], "{probe}");
    }
    let service = &manifests["Service"]["spec"]["ports"][0];
    assert_eq!(service["port"], 9464);
    assert_eq!(service["targetPort"], port["name"]);
    assert_eq!(
        manifests["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"],
        9464
    );
}
