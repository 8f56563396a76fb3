using System.Diagnostics;

namespace Gateway.Load;

/// <summary>A run: callers in a closed loop, block after block.</summary>
internal sealed class LoadRun(LoadOptions options, TextWriter output)
{
    private const int BucketsPerMillisecond = 100;

    /// <returns>The exit code: 0 all was well, 1 too many errors, too much growth, or out of time.</returns>
    public async Task<int> RunAsync()
    {
        using var handler = new SocketsHttpHandler { MaxConnectionsPerServer = options.Connections, UseCookies = false, UseProxy = false, AllowAutoRedirect = false };
        using var http = new HttpMessageInvoker(handler);
        using var limit = new CancellationTokenSource(options.Limit);
        var callers = Enumerable.Range(0, options.Connections).Select(_ => new Caller(http, options)).ToList();
        await Task.WhenAll(callers.Select(caller => caller.OpenAsync(limit.Token)));

        var watched = new WatchedProcess(options.ProcessId);
        var (resident, handles, threads) = (new List<double>(), new List<double>(), new List<double>());
        var failed = 0L;
        for (var block = 1; block <= options.Blocks && !limit.IsCancellationRequested; block++)
        {
            var requests = options.Requests / options.Blocks + (block <= options.Requests % options.Blocks ? 1 : 0);
            var before = watched.Read();
            var start = Stopwatch.GetTimestamp();
            var (done, errors, latencies) = await RunBlockAsync(callers, requests, limit.Token);
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            var after = watched.Read();
            if (options.Rest > TimeSpan.Zero)
            {
                // What is put away every few seconds is no growth.
                await Task.Delay(options.Rest);
                after = watched.Read() with { Cpu = after.Cpu };
            }
            failed += errors;
            resident.Add(after.ResidentMib);
            handles.Add(after.Handles);
            threads.Add(after.Threads);
            var cpu = (after.Cpu - before.Cpu).TotalSeconds;
            await output.WriteLineAsync(FormattableString.Invariant(
                $"{options.Kind} {block}/{options.Blocks}: {done} requests, {errors} errors, {seconds:F2} s, {done / seconds:F0}/s, p50 {Percentile(latencies, 0.5):F2} ms, p99 {Percentile(latencies, 0.99):F2} ms, CPU {cpu:F2} s ({cpu * 1000 / Math.Max(1, done):F3} s per 1000), RSS {before.ResidentMib:F1} -> {after.ResidentMib:F1} MiB, {after.Handles} handles, {after.Threads} threads"));
        }
        if (callers.Select(caller => caller.FirstFailure).FirstOrDefault(failure => failure is not null) is { } first)
        {
            await output.WriteLineAsync($"The first failure: {first}");
        }
        var code = await JudgeAsync(failed, limit.IsCancellationRequested);
        foreach (var (name, unit, values, allowed) in new[] { ("Memory", "MiB", resident, options.MaxGrowthMib), ("Handles", "", handles, options.MaxHandles), ("Threads", "", threads, options.MaxThreads) })
        {
            code = await HasGrownAsync(name, unit, values, allowed) ? 1 : code;
        }
        return code;
    }

    private static async Task<(long Done, long Errors, int[] Latencies)> RunBlockAsync(List<Caller> callers, int requests, CancellationToken cancellationToken)
    {
        var left = requests;
        var errors = 0L;
        var done = 0L;
        var latencies = new int[60_000 * BucketsPerMillisecond / 10];

        async Task LoopAsync(Caller caller)
        {
            while (!cancellationToken.IsCancellationRequested && Interlocked.Decrement(ref left) >= 0)
            {
                var start = Stopwatch.GetTimestamp();
                try
                {
                    if (!await caller.CallAsync(cancellationToken))
                    {
                        Interlocked.Increment(ref errors);
                    }
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    return;
                }
                Interlocked.Increment(ref done);
                var bucket = (int)(Stopwatch.GetElapsedTime(start).TotalMilliseconds * BucketsPerMillisecond);
                Interlocked.Increment(ref latencies[Math.Min(bucket, latencies.Length - 1)]);
            }
        }

        await Task.WhenAll(callers.Select(LoopAsync));
        return (done, errors, latencies);
    }

    private static double Percentile(int[] latencies, double share)
    {
        var rank = (long)Math.Ceiling(latencies.Sum(count => (long)count) * share);
        var bucket = 0;
        for (var seen = 0L; bucket < latencies.Length - 1 && (seen += latencies[bucket]) < rank; bucket++)
        {
        }
        return (double)bucket / BucketsPerMillisecond;
    }

    private async Task<int> JudgeAsync(long failed, bool outOfTime)
    {
        var code = 0;
        if (outOfTime)
        {
            await output.WriteLineAsync($"Out of time after {options.Limit.TotalSeconds} s.");
            code = 1;
        }
        if (failed > options.MaxErrors)
        {
            await output.WriteLineAsync($"{failed} requests failed; allowed are {options.MaxErrors}.");
            code = 1;
        }
        return code;
    }

    private async Task<bool> HasGrownAsync(string name, string unit, List<double> values, double? allowed)
    {
        if (allowed is not { } bound || values.Count < 3)
        {
            return false;
        }
        var third = values.Count / 3;
        var growth = Median(values.TakeLast(third)) - Median(values.Take(third));
        await output.WriteLineAsync(FormattableString.Invariant($"{name} grew by {growth:F1}{(unit.Length > 0 ? " " + unit : "")} from the first third to the last; allowed are {bound:F0}."));
        return growth > bound;
    }

    private static double Median(IEnumerable<double> values)
    {
        var ordered = values.Order().ToList();
        return ordered[ordered.Count / 2];
    }
}
