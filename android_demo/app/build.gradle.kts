plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "cspkeras.demo"
    compileSdk = 35

    defaultConfig {
        applicationId = "cspkeras.demo"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1.0"
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions { jvmTarget = "1.8" }
    packaging { jniLibs { useLegacyPackaging = true } } // compressed: a third of the size
    testOptions.unitTests {
        isIncludeAndroidResources = true
        all { it.systemProperty("vectors", rootProject.file("build/vectors").path) } // by vectors.py
    }
}

dependencies {
    implementation(libs.tflite)
    implementation(libs.tflite.gpu)
    implementation(libs.tflite.gpu.api)
    testImplementation(libs.junit)
    testImplementation(libs.json)
    testImplementation(libs.robolectric)
}
