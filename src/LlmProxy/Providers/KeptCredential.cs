using Microsoft.Extensions.Logging;

namespace LlmProxy.Providers;

/// <summary>A short-lived credential.</summary>
/// <param name="Value">The credential itself.</param>
/// <param name="ExpiresAt">When it stops being taken.</param>
internal readonly record struct Issued<T>(T Value, DateTimeOffset ExpiresAt)
{
    /// <summary>Nothing of the credential.</summary>
    public override string ToString() => "***";
}

/// <summary>
/// Keeps one account's short-lived credential: it is fetched when it is first asked for, by one fetch for all callers, and again in the background some minutes before it expires,
/// so that calls do not wait for it.
/// </summary>
/// <param name="account">Whose it is, for the log.</param>
/// <param name="kind">What it is, for the log: <c>token</c>.</param>
/// <param name="acquire">Fetches it.</param>
/// <param name="clock">Tells the time.</param>
/// <param name="logger">Receives failures.</param>
internal sealed class KeptCredential<T>(string account, string kind, Func<CancellationToken, Task<Issued<T>>> acquire, TimeProvider clock, ILogger logger)
    where T : class
{
    /// <summary>How long before its end it is renewed; of a shorter-lived one, half its life.</summary>
    public static readonly TimeSpan RenewAhead = TimeSpan.FromMinutes(5);

    /// <summary>One with less left than this is not sent: it might expire on its way.</summary>
    public static readonly TimeSpan LeastLeft = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryAfterFailure = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan FailureHolds = TimeSpan.FromSeconds(1);

    private readonly Lock gate = new();
    private volatile Held? held;
    private Task<Held>? fetching;
    private DateTimeOffset failedAt = DateTimeOffset.MinValue;

    /// <summary>The credential, at once where it is at hand.</summary>
    /// <exception cref="CredentialException">There is none, and none can be had.</exception>
    public ValueTask<T> GetAsync(CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var current = held;
        if (current is not null && now < current.RenewAt)
        {
            return ValueTask.FromResult(current.Value);
        }
        var fetch = Fetch();
        if (current is not null && now < current.EndsAt)
        {
            _ = fetch.ContinueWith(static failed => failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            return ValueTask.FromResult(current.Value);
        }
        return WaitAsync(fetch, cancellationToken);
    }

    private static async ValueTask<T> WaitAsync(Task<Held> fetch, CancellationToken cancellationToken) => (await fetch.WaitAsync(cancellationToken)).Value;

    private Task<Held> Fetch()
    {
        lock (gate)
        {
            // So that a crowd of callers does not become a crowd of failing fetches.
            var holds = fetching is not null && (!fetching.IsCompleted || (!fetching.IsCompletedSuccessfully && clock.GetUtcNow() < failedAt + FailureHolds));
            return holds ? fetching! : fetching = Task.Run(FetchAsync);
        }
    }

    // Not bound to any one caller: others wait for the same one.
    private async Task<Held> FetchAsync()
    {
        using var timeout = new CancellationTokenSource(FetchTimeout, clock);
        try
        {
            var issued = await acquire(timeout.Token);
            var life = issued.ExpiresAt - clock.GetUtcNow();
            if (life <= LeastLeft)
            {
                throw new CredentialException($"The {kind} that {account} was given is expired.");
            }
            var ahead = life > RenewAhead * 2 ? RenewAhead : life / 2;
            return held = new Held(issued.Value, issued.ExpiresAt - ahead, issued.ExpiresAt - LeastLeft);
        }
        catch (Exception exception)
        {
            PostponeRenewal();
            // Messages of token services repeat what was sent.
            logger.NoCredential(kind, account, exception is CredentialException ? exception.Message : timeout.IsCancellationRequested ? "no answer in time" : exception.GetType().Name);
            throw exception as CredentialException ?? new CredentialException($"No {kind} could be had for {account}.", exception);
        }
    }

    /// <summary>After a renewal that failed, the one that still holds is used for a while before the next try.</summary>
    private void PostponeRenewal()
    {
        lock (gate)
        {
            failedAt = clock.GetUtcNow();
            if (held is { } current && failedAt < current.EndsAt)
            {
                var next = failedAt + RetryAfterFailure;
                held = current with { RenewAt = next < current.EndsAt ? next : current.EndsAt };
            }
        }
    }

    private sealed record Held(T Value, DateTimeOffset RenewAt, DateTimeOffset EndsAt)
    {
        public override string ToString() => "***";
    }
}
