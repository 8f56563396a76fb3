using Shared.Snapshots;

namespace McpHub.Health;

/// <summary>
/// Keeps calls away from a server that fails or hangs, so that they fail at once. It opens after failures in a row, however long each took, or when too many of the calls
/// of a window failed; after a while it lets trial calls through, and the first that succeeds closes it. Thread-safe.
/// </summary>
/// <remarks>
/// Polly's breaker was not taken: it only knows a share of failures within a window, which a server whose calls hang for the five minutes that a call may take never fills.
/// </remarks>
internal sealed class CircuitBreaker(BreakerRules rules, TimeProvider clock)
{
    private const int Buckets = 10;

    private readonly Lock gate = new();
    private readonly (long Period, int Calls, int Failures)[] window = new (long, int, int)[Buckets];
    private readonly long bucketTicks = Math.Max(1, (long)(rules.Window.TotalSeconds * clock.TimestampFrequency / Buckets));
    private BreakerState state;
    private int generation;
    private int inRow;
    private int trials;
    private long openedAt;

    /// <summary>Asks to make a call.</summary>
    /// <param name="pass">To be given back to <see cref="Leave"/> when the call is over.</param>
    /// <returns>Null: go on. Else the circuit is open, and this is the time after which it is worth another try.</returns>
    public TimeSpan? TryEnter(out BreakerPass pass)
    {
        pass = default;
        if (!rules.Enabled)
        {
            return null;
        }
        lock (gate)
        {
            if (state == BreakerState.Open && clock.GetElapsedTime(openedAt) >= rules.OpenFor)
            {
                Turn(BreakerState.HalfOpen);
            }
            if (state == BreakerState.Open)
            {
                return rules.OpenFor - clock.GetElapsedTime(openedAt);
            }
            if (state == BreakerState.HalfOpen)
            {
                if (trials >= rules.Trials)
                {
                    return rules.OpenFor;
                }
                trials++;
            }
            pass = new BreakerPass(generation, IsGiven: true);
            return null;
        }
    }

    /// <summary>The call is over.</summary>
    /// <param name="pass">What it was let in with.</param>
    /// <param name="verdict">What it says of the server.</param>
    public void Leave(BreakerPass pass, CallVerdict verdict)
    {
        if (!pass.IsGiven)
        {
            return;
        }
        lock (gate)
        {
            // A call of the time before the circuit opened or closed says nothing of now.
            if (pass.Generation != generation)
            {
                return;
            }
            if (state == BreakerState.HalfOpen)
            {
                trials--;
                if (verdict != CallVerdict.None)
                {
                    Turn(verdict == CallVerdict.Answered ? BreakerState.Closed : BreakerState.Open);
                }
                return;
            }
            if (verdict == CallVerdict.None)
            {
                return;
            }
            inRow = verdict == CallVerdict.Failed ? inRow + 1 : 0;
            if (Count(verdict == CallVerdict.Failed) || inRow >= rules.Failures)
            {
                Turn(BreakerState.Open);
            }
        }
    }

    /// <summary>The server was connected anew: if the circuit is open, it is worth a trial now.</summary>
    public void Renew()
    {
        lock (gate)
        {
            if (state == BreakerState.Open)
            {
                Turn(BreakerState.HalfOpen);
            }
        }
    }

    /// <summary>How it stands now: the state, the failures in a row, and when the next trial may be made; null: at any time.</summary>
    public (BreakerState State, int FailuresInRow, DateTimeOffset? RetryAt) Read()
    {
        lock (gate)
        {
            var left = rules.OpenFor - clock.GetElapsedTime(openedAt);
            return state == BreakerState.Open && left <= TimeSpan.Zero
                ? (BreakerState.HalfOpen, inRow, null)
                : (state, inRow, state == BreakerState.Open ? clock.GetUtcNow() + left : null);
        }
    }

    private void Turn(BreakerState next)
    {
        state = next;
        generation++;
        trials = 0;
        switch (next)
        {
            case BreakerState.Open:
                openedAt = clock.GetTimestamp();
                break;
            case BreakerState.Closed:
                inRow = 0;
                Array.Clear(window);
                break;
        }
    }

    /// <summary>Counts a call. True: too many of the window's calls failed.</summary>
    private bool Count(bool failed)
    {
        var period = clock.GetTimestamp() / bucketTicks;
        ref var bucket = ref window[period % Buckets];
        bucket = bucket.Period == period ? bucket : (period, 0, 0);
        bucket.Calls++;
        bucket.Failures += failed ? 1 : 0;
        if (!failed)
        {
            return false;
        }
        var (calls, failures) = (0L, 0L);
        foreach (var past in window)
        {
            if (past.Period > period - Buckets)
            {
                (calls, failures) = (calls + past.Calls, failures + past.Failures);
            }
        }
        return calls >= rules.MinimumCalls && failures * 100 >= calls * rules.FailurePercent;
    }
}

/// <summary>Where a circuit stands.</summary>
internal enum BreakerState
{
    /// <summary>Calls go through.</summary>
    Closed,

    /// <summary>A few calls go through, to see whether the server is back.</summary>
    HalfOpen,

    /// <summary>Calls fail at once.</summary>
    Open,
}

/// <summary>What a call says of the server that it was made of.</summary>
public enum CallVerdict
{
    /// <summary>Nothing: it was cancelled, or never got there for a reason that lies elsewhere.</summary>
    None,

    /// <summary>The server answered. An error is an answer, too.</summary>
    Answered,

    /// <summary>The server did not answer, or not with an answer.</summary>
    Failed,
}

/// <summary>What a call was let in with.</summary>
internal readonly record struct BreakerPass(int Generation, bool IsGiven);
