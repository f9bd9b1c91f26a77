//! nginx as a backend: every request is answered with the backend's name.

use std::{fs, net::SocketAddr, process::Command};

use anyhow::{Context as _, Result};

use crate::{command::run, namespace::Namespace, process::Process};

/// Starts nginx in a namespace, listening on these addresses; returns when it listens.
///
/// `GET /` answers with `name`. Files in the directory `NAMESPACE-www` of the lab are under
/// `/files/`.
pub fn start(namespace: &Namespace, name: &str, listen: &[SocketAddr]) -> Result<Process> {
    let directory = namespace.directory().join(format!("{}-nginx", namespace.short()));
    let files = namespace.directory().join(format!("{}-www", namespace.short()));
    for directory in [&directory, &files] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let listen: String = listen.iter().map(|a| format!("    listen {a} backlog=4096;\n")).collect();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {kind};\n"))
        .concat();
    // One process: workers of a killed master would live on.
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  default_type text/plain;\n  keepalive_timeout 1h;\n  \
         keepalive_requests 1000000000;\n{temporary}  server {{\n{listen}    \
         location / {{ return 200 \"{name}\\n\"; }}\n    \
         location /files/ {{ alias {}/; }}\n  }}\n}}\n",
        files.display()
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration).with_context(|| format!("cannot write {}", file.display()))?;
    let with_files = |mut command: Command| {
        command.arg("-p").arg(&directory).arg("-c").arg(&file).args(["-e", "stderr"]);
        command
    };
    run(with_files(namespace.command("nginx")?).arg("-t"))?;
    let mut process = namespace.start("nginx", with_files(namespace.command("nginx")?))?;
    // It writes its process id once it listens.
    let pid = directory.join("nginx.pid");
    crate::wait::wait_for("nginx to listen", crate::wait::LIMIT, || {
        process.check()?;
        Ok(fs::read_to_string(&pid).ok().filter(|pid| !pid.is_empty()).map(drop))
    })?;
    Ok(process)
}
