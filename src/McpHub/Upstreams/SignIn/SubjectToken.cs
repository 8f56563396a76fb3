namespace McpHub.Upstreams.SignIn;

/// <summary>
/// The token of one subject at one server. However many calls need it renewed, it is renewed once: they share the attempt. A token that is still valid is used while it is
/// being renewed, and while that fails.
/// </summary>
/// <param name="renew">Renews it: given what there is (null: nothing), and whether the server refused it.</param>
/// <param name="clock">The time.</param>
internal sealed class SubjectToken(Func<Grant?, Task<Grant>> renew, TimeProvider clock)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private Grant? grant;
    private Task<Grant>? renewing;
    private DateTimeOffset notBefore;
    private TimeSpan pause = FirstPause;
    private SignInException? trouble;

    /// <summary>What there is now; null: nothing.</summary>
    public Grant? Current => Volatile.Read(ref grant);

    /// <summary>Puts another grant in its place.</summary>
    public void Set(Grant? next)
    {
        lock (gate)
        {
            grant = next;
            (trouble, pause, notBefore) = (null, FirstPause, default);
        }
    }

    /// <summary>The grant, renewed if it has to be; null: there is none that can be had without somebody.</summary>
    /// <param name="canRenew">Whether what there is can be renewed.</param>
    /// <param name="cancellationToken">Ends the waiting, not the renewal.</param>
    /// <exception cref="SignInException">It could not be renewed, and what there was is of no use any more.</exception>
    public ValueTask<Grant?> UsableAsync(Func<Grant?, bool> canRenew, CancellationToken cancellationToken)
    {
        Task<Grant> attempt;
        lock (gate)
        {
            var now = clock.GetUtcNow();
            var known = grant;
            var isValid = known?.IsValidAt(now) ?? false;
            if (isValid && !known!.IsDueAt(now))
            {
                return ValueTask.FromResult<Grant?>(known);
            }
            if (!canRenew(known))
            {
                return ValueTask.FromResult(isValid ? known : null);
            }
            if (now >= notBefore || renewing is not null)
            {
                attempt = Begin(known);
                if (isValid)
                {
                    return ValueTask.FromResult(known);
                }
            }
            else
            {
                return isValid ? ValueTask.FromResult(known) : throw Still(now);
            }
        }
        return WaitAsync(attempt, cancellationToken);
    }

    /// <summary>A grant other than the one whose token was refused.</summary>
    /// <param name="refused">The token.</param>
    /// <param name="cancellationToken">Ends the waiting, not the renewal.</param>
    /// <exception cref="SignInException">It could not be renewed.</exception>
    public async ValueTask<Grant?> RenewedAsync(string? refused, CancellationToken cancellationToken)
    {
        Task<Grant> attempt;
        lock (gate)
        {
            if (grant is { AccessToken: { } token } && token.Reveal() != refused)
            {
                return grant;
            }
            if (renewing is null && clock.GetUtcNow() is var now && now < notBefore)
            {
                throw Still(now);
            }
            attempt = Begin(grant);
        }
        return await WaitAsync(attempt, cancellationToken);
    }

    private static async ValueTask<Grant?> WaitAsync(Task<Grant> attempt, CancellationToken cancellationToken) => await attempt.WaitAsync(cancellationToken);

    // Under the lock. The work itself runs outside of it, and for nobody's cancellation.
    private Task<Grant> Begin(Grant? known)
    {
        if (renewing is { } running)
        {
            return running;
        }
        var done = new TaskCompletionSource<Grant>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Where everybody has a valid token, nobody waits for it.
        _ = done.Task.ContinueWith(task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        renewing = done.Task;
        _ = Task.Run(() => RunAsync(known, done));
        return done.Task;
    }

    private async Task RunAsync(Grant? known, TaskCompletionSource<Grant> done)
    {
        try
        {
            var next = await renew(known);
            lock (gate)
            {
                // Somebody may have signed in anew meanwhile.
                grant = ReferenceEquals(grant, known) ? next : grant ?? next;
                (renewing, trouble, pause, notBefore) = (null, null, FirstPause, default);
            }
            done.SetResult(next);
        }
        catch (Exception exception)
        {
            var failure = exception as SignInException ?? new SignInException("The token could not be renewed, for a reason that lies in the gateway.", isTransient: true, inner: exception);
            lock (gate)
            {
                renewing = null;
                trouble = failure;
                var wait = failure.RetryAfter is { } asked && asked > pause ? asked < LongestPause ? asked : LongestPause : pause;
                notBefore = clock.GetUtcNow() + wait;
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
            done.SetException(failure);
        }
    }

    private SignInException Still(DateTimeOffset now) => new(trouble?.Message ?? "The token could not be renewed.", isTransient: trouble?.IsTransient ?? true, trouble?.Error) { RetryAfter = notBefore - now };
}
