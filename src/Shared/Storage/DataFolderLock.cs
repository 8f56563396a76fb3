namespace Shared.Storage;

/// <summary>
/// Keeps a data folder to one process: a file held open for as long as the process lives. The operating system lets go of it however the process ends.
/// </summary>
internal sealed class DataFolderLock : IDisposable
{
    private const string FileName = "gateway.lock";

    private readonly FileStream file;

    private DataFolderLock(FileStream file) => this.file = file;

    /// <summary>Makes the folder where needed and takes it.</summary>
    /// <exception cref="StorageException">Another process has it, or it cannot be written.</exception>
    public static DataFolderLock Take(string folder)
    {
        try
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(folder);
            }
            else
            {
                Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"The data folder '{folder}' cannot be made: {exception.Message} Choose another folder, or give this user the right to write there.", exception);
        }
        var path = Path.Combine(folder, FileName);
        try
        {
            return new DataFolderLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0));
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new StorageException($"The data folder '{folder}' cannot be written. Choose another folder, or give this user the right to write there.", exception);
        }
        catch (IOException exception)
        {
            throw new StorageException(
                $"The data folder '{folder}' is in use by another gateway process (its '{FileName}' is held). Stop that process, or start this one with another data folder.", exception);
        }
    }

    public void Dispose() => file.Dispose();
}
