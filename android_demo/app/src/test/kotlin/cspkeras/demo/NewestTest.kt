package cspkeras.demo

import cspkeras.demo.logic.FrameRate
import cspkeras.demo.logic.Newest
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class NewestTest {
    @Test
    fun theNewestIsWorkedOnAndTheOthersComeBack() {
        val executor = Executors.newSingleThreadExecutor()
        val started = CountDownLatch(1)
        val go = CountDownLatch(1)
        val done = ArrayList<Int>()
        val newest = Newest<Int>(executor) { started.countDown(); go.await(); done.add(it) }
        assertNull(newest.offer(0))
        started.await()
        assertNull(newest.offer(1)) // 0 is being worked on; the others wait
        assertEquals(listOf(1, 2, 3), (2..4).map(newest::offer))
        go.countDown()
        executor.shutdown()
        assertTrue(executor.awaitTermination(10, TimeUnit.SECONDS))
        assertEquals(listOf(0, 4), done)
    }

    @Test
    fun nothingIsLostOrDoneTwiceUnderLoad() {
        val executor = Executors.newSingleThreadExecutor()
        val done = ArrayList<Int>()
        val newest = Newest<Int>(executor) { done.add(it) }
        val replaced = (0 until 100_000).mapNotNull(newest::offer)
        executor.shutdown()
        assertTrue(executor.awaitTermination(10, TimeUnit.SECONDS))
        assertEquals((0 until 100_000).toList(), (done + replaced).sorted())
        assertEquals(done.sorted(), done)
        assertEquals(99_999, done.last())
    }

    @Test
    fun framesASecondAreThoseOfTheLastFrames() {
        val rate = FrameRate(span = 3)
        val milliseconds = listOf(0L, 1000L, 1500L, 1600L)
        assertEquals(listOf(0f, 1f, 2 / 1.5f, 2 / 0.6f), milliseconds.map { rate.tick(it * 1_000_000) })
    }
}
