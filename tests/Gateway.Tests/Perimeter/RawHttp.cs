using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Gateway.Tests.Perimeter;

/// <summary>An answer as it came over the connection.</summary>
internal sealed record RawAnswer(HttpStatusCode Status, string Head, string Body);

/// <summary>Sends bytes that no well-behaved client would send.</summary>
internal static class RawHttp
{
    /// <summary>Sends a request on a connection of its own, and reads until the server closes it.</summary>
    public static Task<RawAnswer> SendAsync(Uri address, string request) => SendAsync(address, Encoding.Latin1.GetBytes(request));

    /// <inheritdoc cref="SendAsync(Uri, string)"/>
    public static async Task<RawAnswer> SendAsync(Uri address, byte[] request)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        using var connection = new TcpClient();
        await connection.ConnectAsync(address.Host, address.Port, patience.Token);
        var stream = connection.GetStream();
        using var answer = new MemoryStream();
        var sending = SendAllAsync(stream, request, patience.Token);
        try
        {
            await stream.CopyToAsync(answer, patience.Token);
        }
        catch (IOException)
        {
            // A server that refuses what it was not sent in full yet may reset the connection after its answer.
        }
        await sending;
        var text = Encoding.UTF8.GetString(answer.ToArray());
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        Assert.True(end > 0, $"No answer: '{text}'");
        return new RawAnswer((HttpStatusCode)int.Parse(text.AsSpan(9, 3), CultureInfo.InvariantCulture), text[..end], text[(end + 4)..]);
    }

    private static async Task SendAllAsync(NetworkStream stream, byte[] request, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(request, cancellationToken);
        }
        catch (IOException)
        {
            // Refused before it was sent in full.
        }
    }
}
