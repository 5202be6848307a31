"""Build the Android demo without Google's tools: from Maven Central, Debian's packages and a JDK.

    python android_demo/build.py          an APK, signed with a debug key: android_demo/build/cspkeras-demo.apk
    python android_demo/build.py test     the same, then the JUnit tests

The application needs a model in its assets; without one, the small detector of blood cells that comes with cspkeras is
exported there. Debian's packages: maven default-jdk-headless aapt android-framework-res zipalign apksigner.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

DEMO = Path(__file__).resolve().parent
BUILD = DEMO / "build"
MAIN, TEST = DEMO / "app/src/main", DEMO / "app/src/test"
ASSETS = MAIN / "assets"
FRAMEWORK = "/usr/share/android-framework-res/framework-res.apk"
PACKAGES = "maven default-jdk-headless aapt android-framework-res zipalign apksigner"
MIN_SDK, TARGET_SDK, ABIS = 24, 35, ("arm64-v8a", "armeabi-v7a", "x86_64")  # as in app/build.gradle.kts
TFLITE = ("tflite", "tflite-api", "tflite-gpu", "tflite-gpu-api")
# What is resolved together; in one set, one version of an artifact wins.
SETS = {
    "tools": ("kotlin-compiler", "dx"),
    "application": (*TFLITE, "kotlin-stdlib", "android-all"),
    "test": ("junit", "json", "robolectric", "kotlin-stdlib"),
}
# Byte code that dx understands: no invokedynamic.
KOTLIN = "-no-stdlib -no-reflect -nowarn -jvm-target 1.8 -Xjdk-release=1.8 -api-version 1.7 -Xlambdas=class"
KOTLIN += " -Xsam-conversions=class -Xstring-concat=inline"
# Its jar marks more things as nullable than the SDK's.
KOTLIN += " -Xnullability-annotations=@android.annotation:ignore"
JAVA = "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx2g"  # short runs, on any number of cores


def run(*command, **options):
    """Run a command; show its output if it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        sys.exit(f"build.py: {command[0]} failed\n{done.stdout}")
    return done.stdout


def fresh(folder):
    """Return an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def join(paths):
    return os.pathsep.join(map(str, paths))


def artifacts(name):
    """Return the files of a set, in Maven's local repository, with their dependencies."""
    catalogue = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text())
    entries = ""
    for alias in SETS[name]:
        library = catalogue["libraries"][alias]
        group, artifact = library["module"].split(":")
        version = catalogue["versions"][library["version"]["ref"]]
        entries += (
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
        )
        if alias in TFLITE:  # their parts are in the list, since Maven would look for them as .jar
            entries += "<type>aar</type><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId>"
            entries += "</exclusion></exclusions>"
        entries += "</dependency>"
    project = (
        "<project><modelVersion>4.0.0</modelVersion><groupId>cspkeras</groupId><packaging>pom</packaging>"
        f"<artifactId>{name}</artifactId><version>1</version><dependencies>{entries}</dependencies></project>"
    )
    folder = BUILD / "maven" / name
    folder.mkdir(parents=True, exist_ok=True)
    pom, answer = folder / "pom.xml", folder / "classpath"
    if not answer.exists() or pom.read_text() != project:
        pom.write_text(project)
        answer.unlink(missing_ok=True)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
        run("mvn", "-q", "-B", goal, "-Dmdep.outputFile=classpath", cwd=folder)
    return [Path(path) for path in answer.read_text().split(os.pathsep)]


def named(paths, start):
    return next(path for path in paths if path.name.startswith(start))


def export_model():
    """Export a model into the assets if there is none."""
    if not list((ASSETS / "models").glob("*.tflite")):
        print("== Exporting a model into the assets", flush=True)
        run(
            sys.executable,
            "-m",
            "cspkeras.commands.main",
            "export",
            "--model",
            "bccd",
            "--android",
            DEMO,
            cwd=DEMO.parent,
        )


def link_resources():
    """Link resources, manifest and assets into an APK without code, and generate the class of their numbers."""
    generated = fresh(BUILD / "generated")
    run("aapt2", "compile", "--dir", MAIN / "res", "-o", BUILD / "resources.zip")
    manifest = (MAIN / "AndroidManifest.xml").read_text()  # Gradle puts in the package, aapt2 needs it there
    (BUILD / "AndroidManifest.xml").write_text(manifest.replace("<manifest ", '<manifest package="cspkeras.demo" ', 1))
    versions = f"--min-sdk-version {MIN_SDK} --target-sdk-version {TARGET_SDK} --version-code 1 --version-name 1.0"
    options = [*versions.split(), "--warn-manifest-validation", "-0", "tflite", "-A", ASSETS, "--java", generated]
    target = BUILD / "resources.apk"
    run("aapt2", "link", "-I", FRAMEWORK, "--manifest", BUILD / "AndroidManifest.xml", *options, "-o", target,
        BUILD / "resources.zip")  # fmt: skip
    return target


def compile_kotlin(sources, classpath, output):
    compiler = join(artifacts("tools"))
    main = (*JAVA, "-cp", compiler, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler")
    run(*main, *KOTLIN.split(), "-cp", join(classpath), "-d", fresh(output), *sources)


def compile_application():
    """Compile the application; return its classes' folder and its class path."""
    given = artifacts("application")
    libraries = fresh(BUILD / "libraries")
    classpath = [path for path in given if path.suffix == ".jar"]
    for path in given:
        if path.suffix == ".aar":
            with zipfile.ZipFile(path) as aar:
                classpath.append(libraries / f"{path.stem}.jar")
                classpath[-1].write_bytes(aar.read("classes.jar"))
                for entry in aar.namelist():  # jni/ABI/NAME.so
                    if entry.startswith(tuple(f"jni/{abi}/" for abi in ABIS)):
                        aar.extract(entry, libraries)
    classes, numbers = BUILD / "classes", next((BUILD / "generated").rglob("R.java"))
    compile_kotlin([MAIN / "kotlin", numbers], classpath, classes)
    run("javac", "--release", "8", "-Xlint:-options", "-d", classes, numbers)
    return classes, classpath


def make_dex(classes, classpath):
    """Compile the application and its libraries for Android's virtual machine."""
    merged = BUILD / "merged.jar"
    with zipfile.ZipFile(merged, "w", zipfile.ZIP_STORED) as archive:
        for path in classes.rglob("*.class"):
            archive.write(path, path.relative_to(classes))
        for path in classpath:
            if path.name.startswith(("kotlin-stdlib-", "tensorflow-")):
                with zipfile.ZipFile(path) as jar:
                    for entry in jar.namelist():
                        if entry.endswith(".class") and not entry.startswith("META-INF/"):
                            archive.writestr(entry, jar.read(entry))
    dx = named(artifacts("tools"), "dalvik-dx")
    options = ("--dex", f"--min-sdk-version={MIN_SDK}", f"--output={BUILD / 'classes.dex'}", merged)
    run(*JAVA, "-cp", dx, "com.android.dx.command.Main", *options)
    return BUILD / "classes.dex"


def make_apk(resources, dex):
    """Pack all into one file, aligned and signed with a debug key, which is made if there is none."""
    whole, aligned, target = BUILD / "whole.apk", BUILD / "aligned.apk", BUILD / "cspkeras-demo.apk"
    shutil.copy(resources, whole)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as apk:
        apk.write(dex, "classes.dex")
        for library in sorted((BUILD / "libraries/jni").rglob("*.so")):
            apk.write(library, Path("lib") / library.parent.name / library.name)
    run("zipalign", "-f", "4", whole, aligned)
    key = BUILD / "debug.keystore"
    if not key.exists():
        owner = ("-dname", "CN=Android Debug,O=Android,C=US", "-alias", "androiddebugkey", "-validity", "10000")
        secret = ("-storetype", "PKCS12", "-storepass", "android", "-keypass", "android")
        run("keytool", "-genkeypair", "-keystore", key, "-keyalg", "RSA", "-keysize", "2048", *owner, *secret)
    run("apksigner", "sign", "--ks", key, "--ks-pass", "pass:android", "--out", target, aligned)
    return target


def run_tests(classes, classpath, resources):
    """Compile the tests, write their vectors by vectors.py, run them; return JUnit's output."""
    run(sys.executable, DEMO / "vectors.py", BUILD / "vectors")
    output, given = BUILD / "test-classes", artifacts("test")
    android = named(classpath, "android-all")
    libraries = [path for path in classpath if path.name.startswith("tensorflow-")]
    for path in given:
        if path.suffix == ".aar":
            with zipfile.ZipFile(path) as aar:
                path = BUILD / "libraries" / f"{path.stem}.jar"
                path.write_bytes(aar.read("classes.jar"))
        libraries.append(path)
    compile_kotlin([TEST / "kotlin"], [classes, *libraries, android], output)
    # Tells Robolectric where the application's resources are.
    config = output / "com/android/tools/test_config.properties"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"android_merged_manifest={BUILD / 'AndroidManifest.xml'}\nandroid_resource_apk={resources}\n"
        f"android_merged_assets={ASSETS}\nandroid_custom_package=cspkeras.demo\n"
    )
    names = sorted(path.stem for path in (TEST / "kotlin").rglob("*Test.kt"))
    # Robolectric takes the Android that was compiled against, not one that it would download by itself.
    options = {
        "vectors": BUILD / "vectors",
        "screens": fresh(BUILD / "screens"),
        "robolectric.offline": "true",
        "robolectric.dependency.dir": android.parent,
        "robolectric.usePreinstrumentedJars": "false",
    }
    flags = [f"-D{name}={value}" for name, value in options.items()]
    main = ("org.junit.runner.JUnitCore", *(f"cspkeras.demo.{name}" for name in names))
    return run(*JAVA, *flags, "-cp", join([output, classes, *libraries, android]), *main)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("apk", "test"), default="apk", help="[%(default)s]")
    options = parser.parse_args()
    tools = ("mvn", "java", "javac", "keytool", "aapt2", "zipalign", "apksigner")
    missing = [tool for tool in tools if not shutil.which(tool)] + [FRAMEWORK] * (not Path(FRAMEWORK).exists())
    if missing:
        sys.exit(f"build.py: not found: {', '.join(missing)}; on Debian: apt-get install {PACKAGES}")
    BUILD.mkdir(exist_ok=True)
    export_model()
    print("== Building the APK", flush=True)
    resources = link_resources()
    classes, classpath = compile_application()
    apk = make_apk(resources, make_dex(classes, classpath))
    print(f"{apk}: {apk.stat().st_size / 1e6:.1f} MB; install it with: adb install {apk.name}", flush=True)
    if options.what == "test":
        print("== Running the tests", flush=True)
        print(run_tests(classes, classpath, resources))


if __name__ == "__main__":
    main()
