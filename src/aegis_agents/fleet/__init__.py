"""The fleet: workers that take alerts from the inbox and decide them, in one process, in many, and on Ray.

Read in this order: outcomes (what follows from an error), holding and ready, leading and ticks (what one worker does
for all), worker, opening. Then processes, for several on one machine, and ray_setup, actor and cluster, for several
machines.
"""
