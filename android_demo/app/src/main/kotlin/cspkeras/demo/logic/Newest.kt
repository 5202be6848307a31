package cspkeras.demo.logic

import java.util.concurrent.Executor
import java.util.concurrent.atomic.AtomicReference

/** Does `work` on `executor` with the newest of what is offered; what comes meanwhile replaces what waits. */
class Newest<T : Any>(private val executor: Executor, private val work: (T) -> Unit) {
    private val waiting = AtomicReference<T>()

    /** Returns at once, with what will not be worked on any more. */
    fun offer(item: T): T? {
        val replaced = waiting.getAndSet(item)
        if (replaced == null) executor.execute { waiting.getAndSet(null)?.let(work) } // else a run is due already
        return replaced
    }
}

/** Frames per second, over the last of them. */
class FrameRate(private val span: Int = 20) {
    private val times = ArrayDeque<Long>()

    /** Counts a frame that is done at `nanoseconds`, and gives the rate; 0 for the first. */
    fun tick(nanoseconds: Long): Float {
        times.addLast(nanoseconds)
        if (times.size > span) times.removeFirst()
        return if (times.size < 2) 0f else (times.size - 1) * 1e9f / (times.last() - times.first())
    }
}
