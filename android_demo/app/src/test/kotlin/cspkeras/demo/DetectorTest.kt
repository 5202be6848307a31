package cspkeras.demo

import cspkeras.demo.logic.Detector
import cspkeras.demo.logic.ModelException
import cspkeras.demo.logic.ModelFile
import cspkeras.demo.logic.Network
import cspkeras.demo.logic.Picture
import cspkeras.demo.logic.Processor
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class DetectorTest {
    @get:Rule val folder = TemporaryFolder()
    private val model = ModelFile.read(VECTORS.resolve("good.tflite"))
    private val picture = Picture(96, 64, IntArray(96 * 64))
    private val opened = ArrayList<Pair<Processor, MadeUpNetwork>>()
    private val trial get() = File(folder.root, "trial")

    private fun detector(wanted: Processor, make: (Processor) -> MadeUpNetwork) =
        Detector(model, wanted, trial) { _, processor -> make(processor).also { opened.add(processor to it) } }

    private fun found(detector: Detector) = detector.detect(0.25f) { picture }.detections.single()

    @Test
    fun aGpuThatWorksIsUsed() {
        val detector = detector(Processor.GPU) { MadeUpNetwork(model) }
        assertTrue(trial.exists())
        val box = found(detector)
        assertEquals(listOf(24f, 16f, 72f, 48f, 0.875f), listOf(box.x1, box.y1, box.x2, box.y2, box.score))
        assertEquals(Processor.GPU, detector.processor)
        assertNull(detector.reason)
        assertFalse(trial.exists())
        detector.close()
        assertTrue(opened.single().second.closed)
    }

    @Test
    fun whereTheGpuCannotBeHadTheCpuIs() {
        for (error in listOf(IllegalArgumentException("no OpenCL\nmore"), UnsatisfiedLinkError("no OpenCL"))) {
            opened.clear()
            val detector = detector(Processor.GPU) { if (it == Processor.GPU) throw error else MadeUpNetwork(model) }
            assertEquals(Processor.CPU to "no OpenCL", detector.processor to detector.reason)
            found(detector)
        }
    }

    @Test
    fun whereTheGpuFailsLaterTheCpuGoesOn() {
        val failure = IllegalStateException("lost")
        val detector = detector(Processor.GPU) { MadeUpNetwork(model, failure.takeIf { _ -> it == Processor.GPU }) }
        found(detector)
        assertEquals(Processor.CPU to "lost", detector.processor to detector.reason)
        assertEquals(listOf(true, false), opened.map { it.second.closed })
    }

    @Test
    fun aGpuThatEndedTheApplicationIsLeftAloneOnce() {
        trial.createNewFile()
        val detector = detector(Processor.GPU) { MadeUpNetwork(model) }
        assertEquals(Processor.CPU to "it ended the application last time", detector.processor to detector.reason)
        assertEquals(Processor.GPU, detector(Processor.GPU) { MadeUpNetwork(model) }.processor)
    }

    @Test
    fun whatNothingCanRunIsSaid() {
        val fails: (Processor) -> MadeUpNetwork = { throw IllegalArgumentException("bad file for $it") }
        for (wanted in Processor.values()) {
            val error = assertThrows(ModelException::class.java) { detector(wanted, fails) }
            assertEquals("bad file for CPU", error.message)
        }
        val detector = detector(Processor.GPU) { MadeUpNetwork(model, RuntimeException("$it is out of order")) }
        assertEquals("CPU is out of order", assertThrows(ModelException::class.java) { found(detector) }.message)
    }

    @Test
    fun labelsThatDoNotFitAreSaid() {
        val other = modelFile(vectors("outputs").first().getJSONObject("settings"), List(5) { "$it" })
        val network: Network = MadeUpNetwork(other)
        val error = assertThrows(ModelException::class.java) { Detector(model, Processor.GPU, trial) { _, _ -> network } }
        assertTrue(error.message!!.endsWith("has 2 labels for 5 classes"))
        assertTrue((network as MadeUpNetwork).closed)
        assertFalse(trial.exists())
    }
}
