using LlmProxy.Providers;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace LlmProxy.Tests;

/// <summary>One account's token: had once for all who wait, renewed before it ends, and used on while renewal fails.</summary>
public sealed class TokenSourceTests
{
    private readonly FakeTimeProvider clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly Queue<TaskCompletionSource<IssuedToken>> answers = new();
    private readonly SemaphoreSlim asked = new(0);
    private int fetches;

    [Fact]
    public async Task Get_ManyAtOnce_ShareOneFetch()
    {
        var source = NewSource();
        var answer = Answer();

        var waiting = Enumerable.Range(0, 20).Select(_ => source.GetAsync(TestContext.Current.CancellationToken).AsTask()).ToList();
        answer.SetResult(new IssuedToken("one", clock.GetUtcNow().AddHours(1)));

        Assert.All(await Task.WhenAll(waiting), header => Assert.Equal("Bearer one", header));
        Assert.Equal(1, fetches);
        Assert.True(source.GetAsync(TestContext.Current.CancellationToken).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Get_ShortlyBeforeTheEnd_GivesTheOldOneWhileANewOneIsFetched()
    {
        var source = NewSource();
        await FirstAsync(source, TimeSpan.FromHours(1));
        var answer = Answer();
        clock.Advance(TimeSpan.FromMinutes(56));

        var meanwhile = source.GetAsync(TestContext.Current.CancellationToken);
        Assert.True(meanwhile.IsCompletedSuccessfully);
        Assert.Equal("Bearer one", await meanwhile);
        await asked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        answer.SetResult(new IssuedToken("two", clock.GetUtcNow().AddHours(1)));
        clock.Advance(TimeSpan.FromMinutes(10));

        Assert.Equal("Bearer two", await source.GetAsync(TestContext.Current.CancellationToken));
        Assert.Equal(2, fetches);
    }

    [Fact]
    public async Task Get_RenewalFails_GoesOnWithTheOldOneUntilItsEnd()
    {
        var source = NewSource();
        await FirstAsync(source, TimeSpan.FromHours(1));
        Answer().SetException(new HttpRequestException("down"));
        clock.Advance(TimeSpan.FromMinutes(56));
        Assert.Equal("Bearer one", await source.GetAsync(TestContext.Current.CancellationToken));
        await asked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Answer().SetException(new HttpRequestException("down"));
        clock.Advance(TimeSpan.FromMinutes(5));

        await Assert.ThrowsAsync<CredentialException>(async () => await source.GetAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Get_CallerLeaves_TheOthersStillGetIt()
    {
        var source = NewSource();
        var answer = Answer();
        using var patience = new CancellationTokenSource();
        var leaving = source.GetAsync(patience.Token).AsTask();
        var staying = source.GetAsync(TestContext.Current.CancellationToken).AsTask();

        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        answer.SetResult(new IssuedToken("one", clock.GetUtcNow().AddHours(1)));

        Assert.Equal("Bearer one", await staying);
    }

    [Theory]
    [InlineData("", 3600)]
    [InlineData("with space", 3600)]
    [InlineData("expired", 10)]
    public async Task Get_NoUsableToken_IsAnErrorThatDoesNotShowIt(string token, int seconds)
    {
        Answer().SetResult(new IssuedToken(token, clock.GetUtcNow().AddSeconds(seconds)));

        var error = await Assert.ThrowsAsync<CredentialException>(async () => await NewSource().GetAsync(TestContext.Current.CancellationToken));

        Assert.Contains("provider 'x'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("with space", error.ToString(), StringComparison.Ordinal);
    }

    private async Task FirstAsync(TokenSource source, TimeSpan life)
    {
        Answer().SetResult(new IssuedToken("one", clock.GetUtcNow() + life));
        Assert.Equal("Bearer one", await source.GetAsync(TestContext.Current.CancellationToken));
        await asked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    private TaskCompletionSource<IssuedToken> Answer()
    {
        var answer = new TaskCompletionSource<IssuedToken>(TaskCreationOptions.RunContinuationsAsynchronously);
        answers.Enqueue(answer);
        return answer;
    }

    private TokenSource NewSource() => new("provider 'x'", _ =>
    {
        Interlocked.Increment(ref fetches);
        asked.Release();
        return answers.Dequeue().Task;
    }, clock, NullLogger.Instance);
}
