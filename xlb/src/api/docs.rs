//! The examples in docs/api.md are what they say they are.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::types::*;

const DOCS: &str = include_str!("../../../docs/api.md");

/// Reads an example and writes it again: nothing may be missing and nothing too much.
fn same<T: DeserializeOwned + Serialize>(example: &str) {
    let json: Value = serde_json::from_str(example).unwrap();
    let read: T = serde_json::from_str(example).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), json);
}

#[test]
fn the_examples_have_the_shapes_they_show() {
    let mut shapes = Vec::new();
    for block in DOCS.split("```json ").skip(1) {
        let (shape, rest) = block.split_once('\n').unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        match shape {
            "Failure" => same::<Failure>(example),
            "Status" => same::<Status>(example),
            "ServiceList" => same::<ServiceList>(example),
            "Stats" => same::<Stats>(example),
            "Changed" => same::<Changed>(example),
            "ServiceSpec" => same::<ServiceSpec>(example),
            "BackendSpec" => same::<BackendSpec>(example),
            "WeightChange" => same::<WeightChange>(example),
            "InterfaceSpec" => same::<InterfaceSpec>(example),
            other => panic!("{other}?"),
        }
        shapes.push(shape);
    }
    assert_eq!(shapes.len(), 9, "{shapes:?}");
}
