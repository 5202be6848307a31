"""The published weights of every network, by the constructor's name and their own.

None is fetched whose licence does not permit commercial use. What has no licence, or lies on Google Drive alone, has
`license=None`: its address is told, and the user gives the path of his copy.
"""

from functools import partial

from .coco import COCO
from .file import HUB, PublishedFile

APACHE, MIT, PUBLIC_DOMAIN = "Apache-2.0", "MIT", "YOLO LICENSE v2 (public domain)"
DRIVE = "https://drive.google.com/open?id="
MEGVII = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
DARKNET = "https://github.com/AlexeyAB/darknet/releases/download/"
OPENMMLAB = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_{}_8xb32-300e_coco/"
PAPER = "https://github.com/WongKinYiu/CrossStagePartialNetworks/raw/8786894e/weight/"
PELEENET = "https://raw.githubusercontent.com/Robert-JunWang/PeleeNet/05e928adb7387d54b48373583ee4430a28966599/weights/"

coco = partial(PublishedFile, classes=COCO)
imagenet = partial(PublishedFile, classes=1000)
COUNTED = "size counted from the cfg"
OPENCV = "opencv_extra testdata/dnn/download_models.py"
OPEN_MODEL_ZOO = "open_model_zoo models/public"


def yolox(model, ap, side, size, digest, stated):
    """Return the row of a network of YOLOX's, the file of its release 0.1.1rc0."""
    url = f"{MEGVII}yolox_{model}.onnx"
    return coco(url, APACHE, figure=f"AP {ap} @{side}", size=size, checksum=f"sha256:{digest}", stated=stated)


def darknet(file, size, figure, checksum=None, stated=COUNTED, where=f"{DARKNET}darknet_yolo_v4_pre/"):
    """Return the row of a Darknet .weights file."""
    return coco(where + file, PUBLIC_DOMAIN, figure=figure, size=size, checksum=checksum, stated=stated)


def rtmdet(model, name, size, digest, ap, stated="its name, by mmdetection's publish_model.py"):
    """Return the row of a network of OpenMMLab's RTMDet."""
    url = f"{OPENMMLAB.format(model)}rtmdet_{model}_8xb32-300e_coco_{name}.pth"
    return coco(url, APACHE, figure=f"AP {ap} @640", size=size, checksum=f"sha256:{digest}", stated=stated)


def timm(name, top1, side, stated="the Hub", owner="timm"):
    """Return the row of a network of timm's, on the Hugging Face Hub."""
    url, file = f"{HUB}{owner}/{name}", "model.safetensors"
    return imagenet(url, APACHE, figure=f"top-1 {top1} @{side}", stated=stated, layout="timm", file=file)


cspnext = partial(timm, owner="munehiro-k")  # whose repositories timm 1.0.31 takes them from


def drive(key, file, figure, kind=imagenet):
    """Return the row of a file of the paper's authors on Google Drive."""
    return kind(DRIVE + key, None, figure=figure, file=file)


BCCD_SOURCE = "trained here on github.com/Shenggan/BCCD_Dataset (MIT), from Megvii's yolox_nano.onnx (Apache-2.0)"
PUBLISHED = {
    "YOLOXNano": {
        "coco": yolox(
            "nano",
            25.8,
            416,
            3_659_407,
            "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
            "ten public files",
        ),
        "bccd": PublishedFile(
            "", f"{MIT} and {APACHE}", ("Platelets", "RBC", "WBC"), side=320, stated=BCCD_SOURCE, file="bccd.npz"
        ),
    },
    "YOLOXTiny": {
        "coco": yolox(
            "tiny",
            32.8,
            416,
            20_219_662,
            "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
            "two public files; sha1 in OpenCVForUnity",
        )
    },
    "YOLOXS": {
        "coco": yolox(
            "s",
            40.5,
            640,
            35_858_002,
            "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
            f"opencv_zoo object_detection_yolox_2022nov.onnx; sha1 in {OPENCV}",
        )
    },
    "YOLOXM": {
        "coco": yolox(
            "m",
            46.9,
            640,
            101_259_744,
            "21ff6cfdeb53b013bac2249599e55f00bff3cfdfdab37ed7a4620818c1d15b3f",
            "three public files",
        )
    },
    "YOLOXL": {
        "coco": yolox(
            "l",
            49.7,
            640,
            216_746_733,
            "7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411",
            "two public files",
        )
    },
    "YOLOXX": {
        "coco": yolox(
            "x",
            51.1,
            640,
            396_142_663,
            "c892d7aaf1c4746d8a4d675bec669a4db4f434b4ee1efb654bc9b353379c7c55",
            "two public files",
        )
    },
    "RTMDetTiny": {
        "coco": rtmdet(
            "tiny",
            "20220902_112414-78e30dcc",
            57_532_893,
            "78e30dcce0c6f594eaff0d6977b84b4103688b4aff0ad1aa16008a8cc854a7fb",
            41.1,
            "three public files, and its name",
        )
    },
    "RTMDetS": {
        "coco": rtmdet(
            "s",
            "20220905_161602-387a891e",
            91_450_098,
            "387a891e157cf0ab57d76b3ffc17bf77247089d672532427930b3140f9e789d6",
            44.6,
            "three public files, and its name",
        )
    },
    "RTMDetM": {
        "coco": rtmdet(
            "m",
            "20220719_112220-229f527c",
            224_299_609,
            "229f527ca88498e8894a778a62a878a322b4a3ea2cae09ea537d34b7e907792b",
            49.4,
            "three public files, and its name",
        )
    },
    "RTMDetL": {"coco": rtmdet("l", "20220719_112030-5a0be7c4", None, "5a0be7c4", 51.5)},
    "RTMDetX": {
        "coco": rtmdet(
            "x",
            "20220715_230555-cc79b9ae",
            None,
            "cc79b9ae0970f7f597e2aa5f81663129f3aa24e5612549b4f1a383da7fff825d",
            52.8,
            "a public file, and its name",
        )
    },
    "YOLOv3": {
        "coco": darknet(
            "yolov3.weights",
            248_007_048,
            "AP50 55.3 @416",
            "sha256:523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
            f"five public files, of the AUR and of Emgu among others; sha1 in {OPENCV}",
            "https://pjreddie.com/media/files/",
        )
    },
    "YOLOv4": {
        "coco": darknet(
            "yolov4.weights",
            257_717_640,
            "AP 43.5 @608",
            "sha256:e8a4f6c62188738d86dc6898d82724ec0964d0eb9d2ae0f0a9d53d65d108d562",
            f"{OPEN_MODEL_ZOO}/yolo-v4-tf; sha1 in {OPENCV}",
            f"{DARKNET}darknet_yolo_v3_optimal/",
        )
    },
    "YOLOv4Tiny": {
        "coco": darknet(
            "yolov4-tiny.weights",
            24_251_276,
            "AP50 40.2 @416",
            "sha256:cf9fbfd0f6d4869b35762f56100f50ed05268084078805f0e7989efe5bb8ca87",
            f"{OPEN_MODEL_ZOO}/yolo-v4-tiny-tf; sha1 in {OPENCV}",
        )
    },
    "YOLOv4CSP": {"coco": darknet("yolov4-csp.weights", 211_944_840, "AP 46.2 @512")},
    "YOLOv4P5": {"coco": darknet("yolov4-p5.weights", 283_669_892, "AP 51.6 @896")},
    "YOLOv4P6": {
        "coco": darknet(
            "yolov4-p6.weights",
            510_868_180,
            "AP 54.0 @1280",
            "sha256:927863947342a6983a3ca7a808c28998db3f9ee2bff3dea7fd670f16c2e9a08c",
            "one public file, demurthelemur/IOT-Seat-Detection",
        )
    },
    "YOLOv7Tiny": {"coco": darknet("yolov7-tiny.weights", 24_967_560, None, where=f"{DARKNET}yolov4/")},
    "CSPResNet50PANetSPP": {
        "coco": drive("1Ctfeejgi3iUVL37yLLZD-er0iBq-ZbU0", "csresnet50-panet-spp.weights", "AP 38.0 @512", coco)
    },
    "CSPResNeXt50PANetSPP": {
        "coco": drive("1_NnfVgj0EDtb_WLNoXV8Mo7WKgwdYZCc", "csresnext50-panet-spp.weights", "AP 42.4 @512", coco)
    },
    "CSPDarknet53PANetSPP": {
        "coco": drive("1ezwtlTmQ1woHGZNtmKUdmyx-jqFElafA", "csdarknet53-panet-spp.weights", "AP 38.7 @512", coco)
    },
    "PeleeNet": {
        "imagenet": imagenet(
            f"{PELEENET}peleenet_acc7208.pth.tar",
            APACHE,
            figure="top-1 72.1 @224",
            checksum="git:e1500c6ebf591dc7cabe9b59852a686b160e8692",
            stated="the repository's tree",
            layout="torch",
        )
    },
    "CSPMobileNetV2": {
        "imagenet": imagenet(f"{PAPER}csmobilenet-v2_final.weights", None, figure="top-1 67.7 @224", size=10_273_812)
    },
    "ResNet10": {
        "imagenet": imagenet(f"{PAPER}resnet10_final.weights", None, figure="top-1 63.5 @256", size=20_995_764)
    },
    "CSPResNet50Elastic": {
        "imagenet": drive("1IOc96Y-qH-n5hkJ7mEynP5U_aKyE8oke", "csresnet50-elastic.weights", "top-1 76.8 @256")
    },
    "CSPResNeXt50Elastic": {
        "imagenet": drive("134irBbpEnfPGE7NzorRqjukCt59GxeQ2", "csresnext50-elastic.weights", "top-1 77.2 @256")
    },
    "CSPDarknet53Elastic": {
        "imagenet": drive("1XlHOBSvLHj1iCCBTgbwauekN_Kf6N-Qa", "csdarknet53-elastic.weights", "top-1 76.1 @256")
    },
    "CSPResNet50": {"imagenet": timm("cspresnet50.ra_in1k", 79.58, 256)},
    "CSPResNeXt50": {"imagenet": timm("cspresnext50.ra_in1k", 80.55, 256)},
    "CSPDarknet53": {"imagenet": timm("cspdarknet53.ra_in1k", 80.08, 256)},
    "Darknet53": {"imagenet": timm("darknet53.c2ns_in1k", 80.54, 288)},
    "CS3DarknetFocusS": {"imagenet": timm("cs3darknet_focus_s.ra4_e3600_r256_in1k", 73.16, 320)},
    "CS3DarknetFocusM": {"imagenet": timm("cs3darknet_focus_m.c2ns_in1k", 77.29, 288)},
    "CS3DarknetFocusL": {"imagenet": timm("cs3darknet_focus_l.c2ns_in1k", 80.89, 288)},
    "CS3DarknetM": {"imagenet": timm("cs3darknet_m.c2ns_in1k", 77.64, 288)},
    "CS3DarknetL": {"imagenet": timm("cs3darknet_l.c2ns_in1k", 80.88, 288)},
    "CS3DarknetX": {"imagenet": timm("cs3darknet_x.c2ns_in1k", 82.23, 288)},
    "CS3SEDarknetL": {"imagenet": timm("cs3sedarknet_l.c2ns_in1k", 81.77, 288)},
    "CS3SEDarknetX": {"imagenet": timm("cs3sedarknet_x.c2ns_in1k", 82.65, 288)},
    "CS3EdgeNetX": {"imagenet": timm("cs3edgenet_x.c2_in1k", 82.73, 288)},
    "CS3SEEdgeNetX": {"imagenet": timm("cs3se_edgenet_x.c2ns_in1k", 83.55, 320)},
    "CSPNeXtTiny": {"imagenet": cspnext("cspnext_tiny.rsb_a1_in1k", 69.44, 224)},
    "CSPNeXtS": {"imagenet": cspnext("cspnext_s.rsb_a1_in1k", 74.41, 224)},
    "CSPNeXtM": {"imagenet": cspnext("cspnext_m.rsb_a1_in1k", 79.27, 224)},
    "CSPNeXtL": {"imagenet": cspnext("cspnext_l.rsb_a1_in1k", 81.30, 224)},
    "CSPNeXtX": {"imagenet": cspnext("cspnext_x.rsb_a1_in1k", 82.10, 224)},
}
