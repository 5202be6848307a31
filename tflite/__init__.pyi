from .export.convert import convert as convert
from .proof.benchmark import benchmark as benchmark
from .proof.check import check as check
