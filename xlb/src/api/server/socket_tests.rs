//! Who gets the socket's path, and with which rights.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use tempfile::TempDir;
use tokio::net::UnixStream;

use super::*;

#[tokio::test]
async fn a_socket_has_its_rights_and_goes_with_its_owner() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("a/xlb.sock");
    let socket = Socket::bind(&path).await.unwrap();
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    UnixStream::connect(&path).await.unwrap();
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_is_taken_over_only_if_nobody_answers() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("xlb.sock");
    let first = Socket::bind(&path).await.unwrap();
    let refused = Socket::bind(&path).await.unwrap_err();
    assert!(matches!(refused, ListenError::InUse(_)), "{refused}");
    UnixStream::connect(&path).await.unwrap();

    // What an agent leaves behind that was killed.
    let (listener, owned) = first.into_parts();
    std::mem::forget(owned);
    drop(listener);
    assert!(path.exists());
    let second = Socket::bind(&path).await.unwrap();
    UnixStream::connect(&path).await.unwrap();

    // An agent that ends late does not take its successor's socket with it.
    fs::remove_file(&path).unwrap();
    let third = Socket::bind(&path).await.unwrap();
    drop(second);
    UnixStream::connect(&path).await.unwrap();
    drop(third);
}

#[tokio::test]
async fn other_files_are_left_alone() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("precious");
    fs::write(&path, "text").unwrap();
    let refused = Socket::bind(&path).await.unwrap_err();
    assert!(matches!(refused, ListenError::NoSocket(_)), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    let long = temp.path().join("x".repeat(120)).join("xlb.sock");
    let refused = Socket::bind(&long).await.unwrap_err();
    assert!(refused.help().contains("100 bytes"), "{refused}");
}
