//! The state file survives what it must, and what does not survive is noticed and kept.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use xlb_common::layout::DEFAULT_SLOT_CAPACITY;

use super::*;
use crate::api::types::{AttachMode, InterfaceSpec, ServiceSpec};

fn state(services: u16) -> State {
    let mut state = State::new(DEFAULT_SLOT_CAPACITY);
    for i in 0..services {
        let spec: ServiceSpec = serde_json::from_value(serde_json::json!({
            "name": format!("s{i}"), "vip": "192.0.2.1:80", "protocol": "tcp", "slots": 251,
            "direct": ["10.9.0.0/16"],
            "backends": [{"address": "10.0.0.1:80"}, {"address": "10.0.0.2:80", "weight": 3}],
        }))
        .unwrap();
        let vip = std::net::SocketAddr::new(spec.vip.ip(), 80 + i);
        let backends = spec.backends.iter().cloned().map(|mut backend| {
            backend.address.set_port(80 + i);
            backend
        });
        let backends = backends.collect();
        state.model.add_service(&ServiceSpec { vip, backends, ..spec }).unwrap();
    }
    let eth0 = InterfaceSpec { name: "eth0".into(), mode: AttachMode::Native };
    state.model.add_interface(&eth0).unwrap();
    if services > 1 {
        state.model.remove_service("s0").unwrap();
    }
    state.sysctls.push(SysctlChange {
        interface: "eth0".into(),
        path: "net/ipv4/conf/eth0/rp_filter".into(),
        old: "1".into(),
        new: "2".into(),
    });
    state.vips.push(AddedVip { address: "192.0.2.1".parse().unwrap(), interface: "eth0".into() });
    state.applied_config.services = Some("abc".into());
    state.hash_key[0] = 7;
    state
}

fn directory() -> (TempDir, StateDir) {
    let temp = TempDir::new().unwrap();
    let directory = StateDir::open(&temp.path().join("a/b")).unwrap();
    (temp, directory)
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn path(temp: &TempDir) -> std::path::PathBuf {
    temp.path().join("a/b")
}

#[test]
fn what_is_saved_comes_back() {
    let (temp, directory) = directory();
    let empty = directory.load(DEFAULT_SLOT_CAPACITY).unwrap();
    assert!(empty.state.is_none() && empty.notes.is_empty(), "{empty:?}");
    for services in [0, 1, 3, 1] {
        let state = state(services);
        directory.save(&state).unwrap();
        let loaded = directory.load(DEFAULT_SLOT_CAPACITY).unwrap();
        assert_eq!((loaded.state, loaded.notes), (Some(state), vec![]));
    }
    assert_eq!(names(&path(&temp)), ["agent.pid", "state.json", "state.json.bak"]);
    let before = fs::read(path(&temp).join("state.json.bak")).unwrap();
    assert_eq!(before, encode(&state(3)).unwrap());
}

#[test]
fn leftovers_of_a_killed_agent_do_no_harm() {
    let (temp, directory) = directory();
    directory.save(&state(1)).unwrap();
    let [current, backup] = ["state.json", "state.json.bak"].map(|n| path(&temp).join(n));
    // Killed after writing the new file, then after linking the backup, then after renaming it.
    fs::write(path(&temp).join("state.json.new"), "half").unwrap();
    directory.save(&state(2)).unwrap();
    fs::hard_link(&current, path(&temp).join("state.json.bak.new")).unwrap();
    directory.save(&state(3)).unwrap();
    fs::remove_file(&backup).unwrap();
    fs::hard_link(&current, &backup).unwrap();
    directory.save(&state(4)).unwrap();
    assert_eq!(directory.load(DEFAULT_SLOT_CAPACITY).unwrap().state, Some(state(4)));
    assert_eq!(fs::read(&backup).unwrap(), encode(&state(3)).unwrap());
    // One more save clears what a rename onto the same file has left.
    directory.save(&state(5)).unwrap();
    assert_eq!(names(&path(&temp)), ["agent.pid", "state.json", "state.json.bak"]);
}

#[test]
fn every_truncation_is_noticed_kept_and_survived() {
    let (temp, directory) = directory();
    let [old, new] = [state(1), state(3)];
    directory.save(&old).unwrap();
    directory.save(&new).unwrap();
    let file = path(&temp).join("state.json");
    let good = fs::read(&file).unwrap();
    assert_eq!(good.last(), Some(&b'\n'));
    for length in 0..good.len() - 1 {
        fs::write(&file, &good[..length]).unwrap();
        let Loaded { state, notes } = directory.load(DEFAULT_SLOT_CAPACITY).unwrap();
        assert_eq!(state.as_ref(), Some(&old), "{length}");
        assert!(notes[0].contains("damaged") && notes[0].contains("kept as"), "{notes:?}");
        assert!(notes[1].contains("the one before it"), "{notes:?}");
        let kept = names(&path(&temp)).into_iter().find(|n| n.contains("damaged-")).unwrap();
        assert_eq!(fs::read(path(&temp).join(&kept)).unwrap(), &good[..length]);
        fs::remove_file(path(&temp).join(kept)).unwrap();
    }
}

#[test]
fn without_any_good_file_it_begins_empty_and_says_so() {
    let (temp, directory) = directory();
    for name in ["state.json", "state.json.bak", "state.json"] {
        fs::write(path(&temp).join(name), "{}").unwrap();
    }
    let Loaded { state, notes } = directory.load(DEFAULT_SLOT_CAPACITY).unwrap();
    assert!(state.is_none() && notes.len() == 3, "{notes:?}");
    assert!(notes[2].contains("empty"), "{notes:?}");
    // The second one in a second gets a name of its own.
    fs::write(path(&temp).join("state.json"), "{}").unwrap();
    directory.load(DEFAULT_SLOT_CAPACITY).unwrap();
    assert_eq!(names(&path(&temp)).iter().filter(|n| n.contains("damaged-")).count(), 3);
}

#[test]
fn a_lost_file_is_replaced_by_the_one_before_it() {
    let (temp, directory) = directory();
    directory.save(&state(1)).unwrap();
    directory.save(&state(2)).unwrap();
    fs::remove_file(path(&temp).join("state.json")).unwrap();
    let Loaded { state: loaded, notes } = directory.load(DEFAULT_SLOT_CAPACITY).unwrap();
    assert_eq!(loaded, Some(state(1)));
    assert!(notes.len() == 1 && notes[0].contains("is gone"), "{notes:?}");
}

/// Changes a good file's JSON and says how it is then received.
fn edited(edit: impl FnOnce(&mut serde_json::Value)) -> Result<State, Unusable> {
    let mut json = serde_json::from_slice(&encode(&state(3)).unwrap()).unwrap();
    edit(&mut json);
    decode(&serde_json::to_vec(&json).unwrap(), DEFAULT_SLOT_CAPACITY)
}

#[test]
fn contradictions_are_damage() {
    assert_eq!(edited(|_| {}).unwrap(), state(3));
    type Edit = fn(&mut serde_json::Value);
    let edits: [(Edit, &str); 14] = [
        (|j| j["schema"] = 0.into(), "schema"),
        (|j| j["hash_key"] = "00".into(), "length"),
        (|j| j["hash_key"] = "xy".repeat(40).into(), "character"),
        (|j| j["surprise"] = 1.into(), "surprise"),
        (|j| j["model"]["services"][0]["id"] = 2.into(), "twice"),
        (|j| j["model"]["services"][0]["id"] = 9.into(), "range"),
        (|j| j["model"]["services"][0]["first_slot"] = 512.into(), "two regions"),
        (|j| j["model"]["services"][0]["first_slot"] = 8.into(), "misaligned"),
        (|j| j["model"]["services"][0]["targets"][0] = 6.into(), "twice"),
        (|j| j["model"]["services"][0]["targets"] = vec![3].into(), "differ"),
        (|j| j["model"]["services"][0]["spec"]["vip"] = "192.0.2.1:82".into(), "already the VIP"),
        (|j| j["model"]["services"][0]["spec"]["name"] = "s2".into(), "already there"),
        (|j| j["model"]["interfaces"][0]["name"] = "a/b".into(), "interface"),
        (|j| j["model"]["targets"]["retired"] = serde_json::json!([1]), "lost"),
    ];
    for (number, (edit, why)) in edits.into_iter().enumerate() {
        match edited(edit) {
            Err(Unusable::Damaged(error)) if error.contains(why) => {}
            other => panic!("edit {number}, {why}: {other:?}"),
        }
    }
}

#[test]
fn a_good_file_for_another_agent_is_refused_and_left_alone() {
    let (temp, directory) = directory();
    let file = path(&temp).join("state.json");
    directory.save(&state(3)).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let error = directory.load(512).unwrap_err();
    assert!(matches!(error, StateError::TooFewSlots { needed: 768, capacity: 512 }), "{error}");
    assert!(error.help().contains("768"));
    assert!(directory.load(768).is_ok());

    let newer = text.replace("\"schema\": 1", "\"schema\": 2");
    fs::write(&file, &newer).unwrap();
    let error = directory.load(DEFAULT_SLOT_CAPACITY).unwrap_err();
    assert!(matches!(error, StateError::Newer { schema: 2 }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), newer);
}

#[test]
fn a_second_agent_is_refused_until_the_first_ends() {
    let (temp, first) = directory();
    let error = StateDir::open(&path(&temp)).unwrap_err().to_string();
    let pid = format!("another agent runs (pid {})", std::process::id());
    assert!(error.contains(&pid), "{error}");
    drop(first);
    StateDir::open(&path(&temp)).unwrap();
}

#[test]
fn what_the_system_refuses_is_said() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let error = StateDir::open(&file).unwrap_err();
    assert!(error.to_string().contains("create the state directory"), "{error}");
    // A directory in the place of the new file stands for a disk that refuses to be written to.
    let (temp, directory) = directory();
    directory.save(&state(1)).unwrap();
    fs::create_dir(path(&temp).join("state.json.new")).unwrap();
    let error = directory.save(&state(2)).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(directory.load(DEFAULT_SLOT_CAPACITY).unwrap().state, Some(state(1)));
}
