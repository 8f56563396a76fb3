using System.Net.Http.Headers;
using System.Text;
using LlmProxy.Tests.Hosting;

namespace LlmProxy.Tests.Media;

/// <summary>Forms as clients write them.</summary>
internal static class Forms
{
    public const string Boundary = "----fence7MA4YWxk";

    public const string ContentType = "multipart/form-data; boundary=" + Boundary;

    /// <summary>A form of fields and files, in their order.</summary>
    public static byte[] Of(params (string Name, string? FileName, byte[] Content)[] parts)
    {
        using var form = new MemoryStream();
        foreach (var (name, file, content) in parts)
        {
            form.Write(Encoding.UTF8.GetBytes($"--{Boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{(file is null ? "" : $"; filename=\"{file}\"\r\nContent-Type: application/octet-stream")}\r\n\r\n"));
            form.Write(content);
            form.Write("\r\n"u8);
        }
        form.Write(Encoding.UTF8.GetBytes($"--{Boundary}--\r\n"));
        return form.ToArray();
    }

    public static (string, string?, byte[]) Field(string name, string value) => (name, null, Encoding.UTF8.GetBytes(value));

    public static (string, string?, byte[]) File(string name, byte[] content, string file = "a.png") => (name, file, content);

    public static async Task<HttpResponseMessage> PostFormAsync(this ProxyHost host, string path, byte[] form, string contentType = ContentType)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(host.Address, path)) { Content = new ByteArrayContent(form) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "sk-gw-client-secret");
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }
}
