//! The ElasticMQ server: SQS in a JVM, from Maven Central.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{debian, leash};

const VERSION: &str = "1.7.1";

const LIMIT: Duration = Duration::from_mins(10);

pub(crate) fn stamp() -> String {
    format!("elasticmq-server_2.13:{VERSION}")
}

pub(crate) fn need_java() -> Result<()> {
    debian::need("java", "default-jre-headless")
}

pub(crate) fn install(home: &Path) -> Result<()> {
    debian::need("mvn", "maven")?;
    let pom = home.join("pom.xml");
    fs::write(&pom, manifest()).with_context(|| format!("can't write {}", pom.display()))?;
    let mut mvn = leash::command("mvn");
    mvn.current_dir(home)
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
        ])
        .arg(format!("-DoutputDirectory={}", home.join("libs").display()));
    debian::run(mvn, "mvn dependency:copy-dependencies", LIMIT)
        .context("Maven must reach its repository: check network and ~/.m2/settings.xml")
}

pub(crate) fn command(home: &Path, run: &Path, port: u16) -> Result<Command> {
    let settings = run.join("elasticmq.conf");
    fs::write(&settings, configuration(port))
        .with_context(|| format!("can't write {}", settings.display()))?;
    let mut java = leash::command("java");
    // A test server lives for seconds: the second compiler would only compete with the tests for the
    // processor. With UsePerfData, a killed JVM leaves its counters in /tmp.
    java.args([
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
    ])
    .arg(format!("-Dconfig.file={}", settings.display()))
    .arg("-cp")
    .arg(home.join("libs").join("*"))
    .arg("org.elasticmq.server.Main");
    Ok(java)
}

fn manifest() -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>loafer</groupId>
  <artifactId>elasticmq</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.elasticmq</groupId>
      <artifactId>elasticmq-server_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"#
    )
}

/// `strict` are the limits of AWS, on which the tests rely.
fn configuration(port: u16) -> String {
    format!(
        r#"include classpath("application.conf")
node-address {{ protocol = http, host = 127.0.0.1, port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
aws {{ region = us-east-1, accountId = 000000000000 }}
"#
    )
}
