package cspkeras.demo.logic

import java.io.Closeable
import java.io.File

/** Milliseconds of one frame. */
class Times(val before: Float, val inference: Float, val after: Float)

class Result(val picture: Picture, val detections: List<Detection>, val times: Times)

/**
 * Finds objects with a model on the GPU, or where that fails, at the start or later, on the CPU.
 *
 * All calls come from one thread, as GPU delegates want it. `trial` is a file that exists while the GPU has not yet
 * given its first answer: where a driver took the application down, the next start finds it and leaves the GPU alone.
 */
class Detector(
    val model: ModelFile,
    wanted: Processor,
    private val trial: File,
    private val open: (ModelFile, Processor) -> Network,
) : Closeable {
    var processor = wanted
        private set

    /** Why it is not the wanted processor that runs. */
    var reason: String? = null
        private set

    private lateinit var network: Network
    private lateinit var preprocessor: Preprocessor
    private lateinit var postprocessor: Postprocessor

    init {
        if (wanted == Processor.GPU && trial.exists()) leaveGpu("it ended the application last time")
        if (processor == Processor.GPU) trial.createNewFile()
        orFallBack { load() }
    }

    /** Detects, or throws a [ModelException] where not even the CPU does. */
    fun detect(threshold: Float, source: () -> Picture): Result {
        val start = System.nanoTime()
        val picture = source()
        var placement = preprocessor.write(picture)
        val ready = System.nanoTime()
        orFallBack(again = { placement = preprocessor.write(picture); network.run() }) { network.run() }
        if (processor == Processor.GPU) trial.delete()
        val answered = System.nanoTime()
        val found = postprocessor.detect(placement, threshold)
        val end = System.nanoTime()
        return Result(picture, found, Times((ready - start) / 1e6f, (answered - ready) / 1e6f, (end - answered) / 1e6f))
    }

    override fun close() {
        network.close()
        trial.delete()
    }

    private fun load() {
        network = open(model, processor)
        try {
            preprocessor = Preprocessor(model, network.input)
            postprocessor = Postprocessor(model, network.boxes, network.scores)
        } catch (error: ModelException) {
            close()
            throw error
        }
    }

    private fun leaveGpu(why: String) {
        trial.delete()
        reason = why
        processor = Processor.CPU
    }

    /** Does `work`; where the GPU can't, loads the network for the CPU and does `again`. */
    private fun orFallBack(again: () -> Unit = {}, work: () -> Unit) {
        val why = failure(work) ?: return
        if (processor == Processor.CPU) throw ModelException(why)
        if (::network.isInitialized) network.close()
        leaveGpu(why)
        failure { load(); again() }?.let { throw ModelException(it) }
    }

    /** Why `work` could not be done; null if it was. */
    private inline fun failure(work: () -> Unit): String? {
        val error = try {
            work()
            return null
        } catch (error: RuntimeException) {
            error
        } catch (error: LinkageError) { // the runtime's library is not there, or not for this processor
            error
        }
        return (error.message ?: error.javaClass.simpleName).lines().first().take(200)
    }
}
