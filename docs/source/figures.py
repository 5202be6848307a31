"""The docs' figures by name: functions of the path of the SVG file to write."""

import architecture
import charts
import diagrams

FIGURES = {
    function.__name__: function
    for function in (
        charts.layers,
        charts.gradients,
        charts.depthwise,
        charts.tradeoff,
        charts.learning,
        charts.which,
        diagrams.stages,
        diagrams.pooling,
        diagrams.fusion,
        diagrams.transitions,
        diagrams.dense,
        architecture.architecture,
    )
}
